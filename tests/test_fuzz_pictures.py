"""Whatever a picture holds, it is at worst a failed row, with a reason that a person understands."""

import io
import re
import warnings

import made
import numpy as np
import pytest
import torch
from PIL import Image

from bench.images.pictures import READ, prepared
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError

SMALL = Preprocessing(size=8, resize=8)
REASONS = (
    r"the file is empty|not a picture \(JPEG, .*\), or broken from its first bytes|more than [\d,]+ pixels; make it smaller"
    r"|broken, or of a kind that is not read; save it anew \(.+\)|[\d,]+ × [\d,]+ pixels are too long a strip .*; cut it"
)


def encoded(image, kind, frames=(), **options):
    if frames:
        options |= {"save_all": True, "append_images": [frame.copy() for frame in frames]}
    return made.encoded(image.copy(), kind, **options)  # copies: saving leaves traces on an image


def seeds():
    """Name: a sound picture's bytes, of every format and most of its kinds."""
    rng = np.random.default_rng(0)
    rgb = Image.fromarray((rng.random((12, 17, 3)) * 255).astype(np.uint8))
    grey16 = Image.fromarray((rng.random((12, 17)) * 65535).astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8769] = 6, "maker", {0x9286: b"a comment"}
    exif, simple = exif.tobytes(), Image.Exif()
    simple[0x0112] = 6
    frames = [rgb.rotate(180)]
    yield "jpg", encoded(rgb, "JPEG", exif=exif)
    yield "progressive.jpg", encoded(rgb, "JPEG", progressive=True, exif=exif)
    yield "cmyk.jpg", encoded(rgb.convert("CMYK"), "JPEG", exif=exif)
    yield "mpo", encoded(rgb, "MPO", frames)
    yield "png", encoded(rgb, "PNG", exif=exif)
    yield "grey16.png", encoded(grey16, "PNG")
    yield "palette.png", encoded(rgb.convert("P"), "PNG", transparency=b"\x00\x80")
    yield "alpha.png", encoded(rgb.convert("RGBA"), "PNG", exif=exif)
    yield "apng", encoded(rgb, "PNG", frames)
    yield "webp", encoded(rgb, "WEBP", exif=exif)
    yield "lossless.webp", encoded(rgb.convert("RGBA"), "WEBP", lossless=True)
    yield "animated.webp", encoded(rgb, "WEBP", frames)
    yield "bmp", encoded(rgb, "BMP")
    yield "palette.bmp", encoded(rgb.convert("P"), "BMP")
    yield "gif", encoded(rgb.convert("P"), "GIF", transparency=3)
    yield "animated.gif", encoded(rgb, "GIF", frames)
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        yield f"{compression}.tif", encoded(rgb, "TIFF", compression=compression, exif=simple)
    yield "grey16.tif", encoded(grey16, "TIFF", compression="tiff_lzw")
    yield "fax.tif", encoded(rgb.convert("1"), "TIFF", compression="group4")
    yield "float.tif", encoded(Image.fromarray(rng.random((12, 17)).astype(np.float32)), "TIFF")
    yield "pages.tif", encoded(rgb, "TIFF", frames)
    for mode, suffix in (("RGB", "ppm"), ("L", "pgm"), ("1", "pbm")):
        yield suffix, encoded(rgb.convert(mode), "PPM")
    yield "jp2", encoded(rgb, "JPEG2000")
    if "AVIF" in READ:
        yield "avif", encoded(rgb, "AVIF", exif=exif)


def mutated(content, other, rng):
    """Some damage that disks, networks and programs do."""
    bytes_, kind = bytearray(content), rng.integers(6)
    at = int(rng.integers(len(bytes_)) * rng.random() ** 2)  # rather at the front, where the structure is
    if kind == 0:
        for k in rng.integers(at, len(bytes_), size=rng.integers(1, 8)):
            bytes_[k] = rng.integers(256)
    elif kind == 1:
        del bytes_[at:]
    elif kind == 2:
        del bytes_[at : at + rng.integers(1, 9)]
    elif kind == 3:
        bytes_[at : at + 4] = rng.choice(
            [b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\x1e\x84\x80", b"\x80\x84\x1e\0"]
        )
    elif kind == 4:
        bytes_[at:at] = bytes_[at : at + rng.integers(1, 33)]
    else:
        bytes_[at:] = other[int(rng.integers(len(other))) :]
    return bytes(bytes_)


SEEDS = dict(seeds())


@pytest.mark.parametrize("name", SEEDS)
def test_a_damaged_picture_is_at_worst_a_failure_that_says_why(name, capfd):
    rng = np.random.default_rng(list(name.encode()))
    others = list(SEEDS.values())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2000 // len(SEEDS) + 1):
            content = mutated(SEEDS[name], others[rng.integers(len(others))], rng)
            reason = None
            try:
                x, _ = prepared(content, name, SMALL, upright=bool(rng.integers(2)))
            except ImageError as error:
                reason = str(error)
            if reason is None:
                assert x.shape == (3, 8, 8) and x.dtype == torch.float32
                assert x.min() >= 0 and x.max() <= 1
            else:
                assert re.fullmatch(f"{name}: ({REASONS})", reason) and reason.isprintable() and len(reason) < 250, (
                    reason
                )
    said = capfd.readouterr()
    assert said.out == "" and (said.err == "" or name.endswith(".tif"))  # libtiff, a C library, speaks for itself


def test_every_format_is_among_them():
    assert {Image.open(io.BytesIO(content)).format for content in SEEDS.values()} >= set(READ) - {"DIB"}
