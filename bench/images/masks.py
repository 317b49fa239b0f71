"""Masks beside pictures that come without: `data.masks=boxes|imagenet_s|folder data.masks_path=…`, at any source of such.

What is drawn in the picture's own pixels takes the picture's way to the network's input, but for its interpolation, which is
that of the nearest pixel.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.errors import UserError
from bench.images.annotations import READERS, Annotations
from bench.images.files import marked
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError, Sample, Source
from bench.text import plural

EXPECTED = {
    "boxes": "ILSVRC2012's folder of XML files, or LOC_val_solution.csv",
    "imagenet_s": "ImageNet-S's folder of PNG files (ImageNetS919/validation-segmentation)",
    "folder": "a folder with a PNG for each image, not black where the object is, called as the image is",
}


class Masked:
    """A source of pictures, and where the object is in each. An image without that is broken, in words that say so.

    plain: the source without; other images that a method asks for need no mask.
    """

    def __init__(self, plain: Source, annotations: Annotations, preprocessing: Preprocessing):
        self.plain, self.annotations, self.preprocessing = plain, annotations, preprocessing
        self.ids, self.collection, self.classes = plain.ids, plain.collection, plain.classes
        self.crop: bool = plain.crop  # type: ignore[attr-defined]

    def label(self, id: str) -> int | None:
        return self.plain.label(id)

    def fingerprint(self, id: str) -> str:
        try:
            content = self.annotations.content(id)
        except ImageError as error:
            content = str(error).encode()
        return _joined(self.plain.fingerprint(id), content)

    def stamp(self, id: str) -> str | None:
        stamps = self.plain.stamp(id), self.annotations.stamp(id)
        return None if None in stamps else "; mask: ".join(stamps)  # type: ignore[arg-type]

    def load(self, id: str) -> Sample:
        sample, content = self.plain.load(id), self.annotations.content(id)
        with marked(made_of := _joined(sample.fingerprint, content)):
            regions = self.annotations.drawn(id, content, sample.size)  # type: ignore[arg-type]
            if not regions[0].any():
                raise ImageError("its mask is empty")
            mask, ignored = self._seen(*regions)
            if not mask.any():
                raise ImageError("the object lies outside of what the network is shown of the picture")
        return Sample(id, sample.pixels, made_of, sample.label, mask, ignored, sample.size)

    def _seen(self, inside: np.ndarray, ignored: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """bool [H, W] of the picture -> bool [size, size] of the network's input; a frame that was added is neither."""
        painted = Image.fromarray(np.stack([inside, ignored, ignored], axis=2).astype(np.uint8) * 255)
        seen = self.preprocessing.nearest(painted, crop=self.crop) > 0.5
        return seen[0], seen[1]


def masked(source: Source, kind: str | None, path: str | None, preprocessing: Preprocessing) -> Source:
    """The source with the masks that `data.masks` names; as it is if there are none to be had."""
    if kind is None and path is None:
        return source
    if kind is None:
        raise UserError(f"data.masks_path={path} needs data.masks: {', '.join(READERS)}")
    if not hasattr(source, "crop"):
        raise UserError(
            f"data.masks={kind} is for sources of pictures; this one draws its images, with masks of its own"
        )
    if path is None:
        raise UserError(f"data.masks={kind} needs data.masks_path=…: {EXPECTED[kind]}")
    place = Path(path).expanduser()
    if not place.is_dir() and not (kind == "boxes" and place.is_file()):
        raise UserError(f"data.masks_path={path} is not there; data.masks={kind} expects {EXPECTED[kind]}")
    annotations = READERS[kind](place)
    if not any(annotations.has(id) for id in source.ids):
        raise UserError(
            f"data.masks_path={path} has no mask of any of the {plural(len(source.ids), 'image')} ({source.ids[0]}, …); "
            f"data.masks={kind} expects {EXPECTED[kind]}"
        )
    return Masked(source, annotations, preprocessing)


def _joined(picture: str, annotation: bytes) -> str:
    return hashlib.sha256(picture.encode() + b"/mask=" + annotation).hexdigest()
