"""Odd pictures that are sound, and pictures that are too much."""

import struct
import zlib

import numpy as np
import pytest
import torch
from made import encoded
from PIL import Image

from bench.images.pictures import prepared, read_picture
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError

LYING = Image.new("L", (16, 8))
LYING.paste(255, (0, 0, 8, 8))  # the left half is white; orientation 6 brings it up


def with_exif(entries: list[bytes], count: int | None = None) -> bytes:
    """LYING as a JPEG whose EXIF directory holds these 12-byte entries."""
    directory = struct.pack(">H", len(entries) if count is None else count) + b"".join(entries) + bytes(4)
    return encoded(LYING, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08" + directory)


def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(">HHI", tag, kind, count) + value


UP = entry(0x0112, 3, 1, b"\0\x06\0\0")
BROKEN = {
    "a tag twice": [UP, UP],
    "text where numbers are due": [entry(0x011A, 2, 4, b"abc\0"), UP],
    "a value beyond the end": [UP, entry(0x010F, 2, 60_000, b"\xff\xff\xff\x00")],
    "a kind that there is not": [entry(0x010F, 99, 1, bytes(4)), UP],
    "a directory that points at itself": [UP, entry(0x8769, 4, 1, b"\0\0\0\x08")],
    "a rational over zero": [entry(0x011A, 5, 1, b"\0\0\0\0"), UP],
}


@pytest.mark.parametrize("entries", BROKEN.values(), ids=BROKEN)
def test_the_orientation_is_read_whatever_else_is_broken(entries):
    read = read_picture(with_exif(entries), "it", upright=True)
    assert read.size == (8, 16)
    assert np.asarray(read)[:8].min() > 200 and np.asarray(read)[8:].max() < 50


@pytest.mark.parametrize(
    "exif",
    [
        [entry(0x0112, 3, 1, b"\0\x09\0\0")],  # no orientation has the number 9
        [entry(0x0112, 2, 3, b"up\0\0")],
        [],
    ],
)
def test_no_orientation_that_makes_sense_is_none(exif):
    assert read_picture(with_exif(exif), "it", upright=True).size == (16, 8)


def test_every_orientation_is_what_exif_says():
    """Row 0 and column 0 of the stored picture are, on the upright one: top and left, top and right, …"""
    corner = Image.new("L", (16, 8))
    corner.putpixel((0, 0), 255)
    where = {1: (0, 0), 2: (15, 0), 3: (15, 7), 4: (0, 7), 5: (0, 0), 6: (7, 0), 7: (7, 15), 8: (0, 15)}
    for orientation, place in where.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        read = read_picture(encoded(corner, "PNG", exif=exif), "it", upright=True)
        assert read.getpixel(place) == (255, 255, 255), orientation


def png(width: int, height: int) -> bytes:
    """The head of a PNG of this size and an end too soon."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (head, b"IDAT")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (png(2_000_000, 2_000_000), "more than 178,956,970 pixels; make it smaller"),
        (
            encoded(Image.new("1", (2_000_000, 2))),
            "2,000,000 × 2 pixels are too long a strip .* 224 on the shorter side",
        ),
        (png(0, 7), "not a picture"),
        (b"P5 0 0 255\n", "broken, or of a kind|not a picture"),
        (png(30, 30), "broken, or of a kind .*truncated"),
        (b"", "the file is empty"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),  # Pillow would run Ghostscript
        (b"\0\0\0\x18ftypheic", r"not a picture \(JPEG, PNG, "),
        (encoded(Image.fromarray(np.full((4, 4), 0.5, "f4")), "TIFF"), "floating-point values have no agreed white"),
        (encoded(Image.fromarray(np.full((4, 4), 1 << 20, "i4")), "TIFF"), "32-bit values have no agreed white"),
    ],
    ids=["bomb", "strip", "no width", "no size", "cut", "empty", "eps", "heic", "float", "32 bits"],
)
def test_what_cannot_be_shown_says_why(content, reason):
    with pytest.raises(ImageError, match=f"^it: .*({reason})"):
        prepared(content, "it", Preprocessing(224, 224), upright=True)


@pytest.mark.parametrize(
    ("content", "grey"),
    [
        (encoded(Image.new("L", (8, 8), 90), "TIFF"), 90),
        (encoded(Image.new("L", (8, 8), 90), "GIF", save_all=True, append_images=[Image.new("L", (8, 8), 200)]), 90),
        (
            encoded(
                Image.new("RGB", (8, 8), (90,) * 3), "PNG", save_all=True, append_images=[Image.new("RGB", (8, 8))]
            ),
            90,
        ),
        (encoded(Image.new("L", (8, 8), 90), "TIFF", save_all=True, append_images=[Image.new("L", (9, 9), 200)]), 90),
        (encoded(Image.new("L", (8, 8), 90), "JPEG2000"), 90),
        (encoded(Image.fromarray(np.full((8, 8), 90 * 257, ">u2")), "TIFF"), 90),
        (encoded(Image.fromarray(np.full((8, 8), 90 * 257, "i4")), "TIFF"), 90),
        (encoded(Image.fromarray(np.full((8, 8), 90 * 257, "u2")), "PNG", transparency=90 * 257), 255),
        (b"P5 8 8 255\n" + bytes([90]) * 64, 90),
    ],
    ids=["tiff", "gif", "apng", "pages", "jpeg 2000", "big-endian 16 bits", "16 of 32 bits", "clear 16 bits", "pgm"],
)
def test_of_several_pictures_in_a_file_the_first_counts(content, grey):
    x, _ = prepared(content, "it", Preprocessing(8, 8), upright=True)
    assert torch.equal(x, torch.full((3, 8, 8), grey / 255))
