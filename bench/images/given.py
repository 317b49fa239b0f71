"""Images that are at hand as objects: pictures of Pillow, tensors, arrays.

A picture goes the way of a file that holds it. A tensor is taken as it is: [3, size, size], the size that the network takes,
pixels in [0, 1], or whole numbers to 255. An array is a tensor if colours come first, a picture if they come last.
"""

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

from bench.errors import UserError
from bench.images.files import fingerprint, marked
from bench.images.pictures import prepared
from bench.images.preprocessing import Preprocessing
from bench.images.source import Sample
from bench.text import a_kind, one_line

ID = 12  # digits of the digest that an image without a name goes by


class GivenImages:
    """A source. collection: what tells images with these names from others; images that go by their digest need none."""

    classes: int | None = None

    def __init__(
        self,
        images: Mapping[str, Any],
        labels: Mapping[str, int],
        preprocessing: Preprocessing,
        *,
        collection: str | None = None,
    ):
        self.images = {id: plain(image, id) for id, image in images.items()}
        self.ids, self.labels, self.preprocessing, self.collection = list(images), labels, preprocessing, collection
        self.crop = True
        size = preprocessing.size
        for id, image in self.images.items():
            if isinstance(image, Tensor) and image.shape != (3, size, size):
                raise UserError(
                    f"image {id} is a tensor {list(image.shape)}; the network takes [3, {size}, {size}]: resize it, or "
                    "give the picture, which is prepared as the network's weights want it."
                )

    def label(self, id: str) -> int | None:
        return self.labels.get(id)

    def fingerprint(self, id: str) -> str:
        return fingerprint(content(self.images[id]), self.label(id))

    def stamp(self, id: str) -> str | None:
        return None

    def load(self, id: str) -> Sample:
        image, made_of = self.images[id], self.fingerprint(id)
        if isinstance(image, Tensor):
            return Sample(id, image, made_of, self.label(id), size=(image.shape[2], image.shape[1]))
        with marked(made_of):
            pixels, size = prepared(as_file(image, id), id, self.preprocessing, upright=True)
        return Sample(id, pixels, made_of, self.label(id), size=size)


def given(preprocessing: Preprocessing, **_: object) -> GivenImages:
    """What a record of such a run names: the images themselves are nowhere. Raises UserError."""
    raise UserError("These images were given as objects, in Python; only there can they be had again.")


def plain(image: Any, id: str) -> Tensor | Image.Image:
    """float32 [3, H, W] in [0, 1], or a picture. UserError: it is neither."""
    if isinstance(image, Image.Image):
        return _loaded(image, id)
    if isinstance(image, np.ma.MaskedArray):
        raise UserError(f"image {id} is a masked array: give the values without a mask (numpy.ma.filled).")
    try:
        return _pixels(image, id)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:  # sparse, quantised, of objects, …
        why = one_line(error, 150)
        raise UserError(f"image {id} cannot be read as numbers ({why}): give a plain array or tensor.") from error


def _loaded(image: Image.Image, id: str) -> Image.Image:
    """UserError: its file is closed, or broken."""
    try:
        image.load()
        image.getexif()
        if min(image.size) < 1:
            raise ValueError(f"it has {image.size[0]} × {image.size[1]} pixels")
    except Exception as error:  # what Pillow raises depends on where the file is broken
        why = one_line(error, 150) or type(error).__name__
        raise UserError(f"image {id} is a picture that cannot be read: {why}.") from error
    return image


def _pixels(image: Any, id: str) -> Tensor | Image.Image:
    if isinstance(image, np.ndarray):
        if image.dtype == np.uint8 and (image.ndim == 2 or image.ndim == 3 and image.shape[2] in (3, 4)):
            return Image.fromarray(image)
        image = torch.from_numpy(np.array(image, image.dtype.newbyteorder("=")))
    if not isinstance(image, Tensor):
        raise UserError(f"image {id} is {a_kind(image)}: expected a picture, a tensor, an array or a path.")
    if image.ndim != 3 or image.shape[0] != 3:
        alone = "; one image alone is image[None]" if image.ndim == 2 else ""
        raise UserError(f"image {id} is of shape {list(image.shape)}: expected [3, H, W]{alone}.")
    if image.dtype is torch.bool or image.is_complex():
        raise UserError(f"image {id} is of {image.dtype}: expected pixels in [0, 1], or whole numbers to 255.")
    pixels = image.detach().cpu().float() / (1 if image.is_floating_point() else 255)
    if not (pixels.isfinite().all() and pixels.min() >= 0 and pixels.max() <= 1):
        if not image.is_floating_point() and (most := int(image.long().max())) > 255:
            raise UserError(f"image {id} is of {image.dtype} up to {most}: expected whole numbers to 255, or [0, 1].")
        raise UserError(
            f"image {id} has values from {pixels.min():.3g} to {pixels.max():.3g}: expected pixels in [0, 1], not yet "
            "normalised; the network's mean and std are applied to them."
        )
    return pixels


def digest(image: Any, id: str) -> str:
    """Of an image without a name, the name."""
    return hashlib.sha256(content(plain(image, id))).hexdigest()[:ID]


def content(image: Tensor | Image.Image) -> bytes:
    """What it is made of: shape and values, and of a picture what else changes how it looks."""
    if isinstance(image, Tensor):
        return f"{list(image.shape)}".encode() + image.numpy().tobytes()
    turned = image.getexif().get(ExifTags.Base.Orientation)
    looks = (image.mode, image.size, turned, image.info.get("transparency"), image.palette and image.palette.tobytes())
    return f"{looks}".encode() + image.tobytes()


def as_file(image: Image.Image, id: str) -> bytes:
    """The picture as a PNG. UserError: it cannot be one."""
    buffer = io.BytesIO()
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):  # which no PNG has; a file of such is shown in RGB, too
        image = image.convert("RGB")
    try:
        image.save(buffer, "PNG", exif=image.getexif())
    except Exception as error:
        raise UserError(
            f"image {id} is a picture of mode {image.mode}, which no PNG has: convert it to RGB."
        ) from error
    return buffer.getvalue()
