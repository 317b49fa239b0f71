"""Bytes to a picture: RGB, 8 bits. Whatever they hold, at worst an ImageError with a reason that a person understands."""

import io
import warnings

import numpy as np
from PIL import ExifTags, Image
from PIL.Image import Transpose
from torch import Tensor

from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError
from bench.text import one_line

Image.init()
# no others: some of Pillow's formats run programs
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
READ = [name for name in FORMATS if name in Image.OPEN]  # AVIF came late
SUFFIXES = (  # of what is read, in upper case too
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".jpf", ".avif"),
)
UNREAD = (".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw")  # photographs too: failed rows that say so
TURNS = {  # EXIF orientation: what sets the picture upright
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
PIXELS = 2 * Image.MAX_IMAGE_PIXELS  # 179 million, Pillow's limit against decompression bombs


def prepared(
    content: bytes, name: str, preprocessing: Preprocessing, *, upright: bool, crop: bool = True
) -> tuple[Tensor, tuple[int, int]]:
    """What the network sees of a file's content, float32 [3, size, size], and the picture's width and height.

    name: what an error calls the picture.
    """
    picture = read_picture(content, name, upright)
    short, long = sorted(picture.size)
    if crop and long / short * preprocessing.resize**2 > PIXELS:
        raise ImageError(
            f"{name}: {picture.width:,} × {picture.height:,} pixels are too long a strip to be resized to "
            f"{preprocessing.resize} on the shorter side; cut it"
        )
    return preprocessing(picture, crop=crop), picture.size


def read_picture(content: bytes, name: str, upright: bool) -> Image.Image:
    """The first frame or page. Transparency shows white, 16-bit grey keeps its range.

    upright: turn it as its EXIF orientation says, if that can be read, whatever else is broken there.
    """
    if not content:
        raise ImageError(f"{name}: the file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities that change no pixel; of large pictures, which PIXELS bounds
        try:
            picture = Image.open(io.BytesIO(content), formats=READ)
            picture.load()
            return _rgb(_turned(picture) if upright else picture)
        except Image.UnidentifiedImageError as error:
            formats = "JPEG, PNG, WebP, BMP, GIF, TIFF, PPM, JPEG 2000" + ", AVIF" * ("AVIF" in READ)
            raise ImageError(f"{name}: not a picture ({formats}), or broken from its first bytes") from error
        except Image.DecompressionBombError as error:
            raise ImageError(f"{name}: more than {PIXELS:,} pixels; make it smaller") from error
        except Exception as error:  # what Pillow raises depends on the format and on where the file is broken
            said = one_line(error, 120) or type(error).__name__
            raise ImageError(f"{name}: broken, or of a kind that is not read; save it anew ({said})") from error


def _turned(picture: Image.Image) -> Image.Image:
    try:
        turn = TURNS.get(picture.getexif().get(ExifTags.Base.Orientation))  # type: ignore[arg-type]
    except Exception:  # other tags may be broken in any way; then nobody knows how it was held
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # Pillow would clip 16-bit grey at 255 instead of scaling it
        picture = _grey16(picture)
    if picture.mode == "F":
        raise ValueError("floating-point values have no agreed white")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def _grey16(picture: Image.Image) -> Image.Image:
    grey = np.asarray(picture)
    if grey.min() < 0 or grey.max() > 65535:
        raise ValueError("32-bit values have no agreed white")
    clear = picture.info.get("transparency")  # the one grey that is transparent, if there is one
    grey8 = (grey // 257).astype(np.uint8)
    return Image.fromarray(np.where(grey == clear, np.uint8(255), grey8) if isinstance(clear, int) else grey8)
