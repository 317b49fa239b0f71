"""What a user calls images, as the data of a run: a folder, files, or objects at hand.

Pictures on disk are `data=folder`, with the ids that they have there: the run is that of the command line.
"""

import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from bench.errors import UserError
from bench.images.files import listed
from bench.images.given import GivenImages, content, digest, plain
from bench.images.listing import id_of
from bench.images.source import Source, duplicates
from bench.text import a_kind

MANY = 10**9  # classes that nobody has
OBJECT = (Image.Image, Tensor, np.ndarray)


@dataclass(frozen=True)
class Images:
    """settings: as a yaml of conf/data has them; None: what the command line says.  source: builds it, where they do not."""

    name: str | None = None
    settings: dict[str, Any] | None = None
    ids: list[str] | None = None
    source: Callable[..., Source] | None = None


def images_of(images: Any, labels: Any = None) -> Images:
    """A folder; paths of files; pictures, tensors or arrays, in a list or by name; a tensor [B, 3, H, W]; None.

    labels: classes, of images at hand alone; a folder has its labels.csv. UserError: none of these.
    """
    if isinstance(images, str | os.PathLike):
        place = Path(images).expanduser()
        return Images("folder", _folder(place)) if place.is_dir() else _files([place])
    if images is not None and not isinstance(images, Mapping | Tensor | np.ndarray):
        if not isinstance(images, OBJECT) and (isinstance(images, set | bytes) or not isinstance(images, Iterable)):
            raise UserError(
                f"images is {a_kind(images)}: expected a folder, or paths, pictures, tensors or arrays in a list or a dict."
            )
        images = [images] if isinstance(images, OBJECT) else list(images)
        if images and all(isinstance(image, str | os.PathLike) for image in images):
            return _files([Path(image).expanduser() for image in images])
    if labels is not None and images is None:
        raise UserError("labels are of images at hand; a folder has them in its labels.csv.")
    return Images() if images is None else _objects(images, labels)


def _folder(place: Path) -> dict[str, Any]:
    return {"_target_": "bench.images.files.folder", "root": str(place)}


def _files(paths: list[Path]) -> Images:
    for path in paths:
        if not path.is_file():
            fetched = " Nothing is fetched: download it first." if re.match(r"\w+:/", str(path)) else ""
            raise UserError(f"there is no file {path}.{fetched}")
    paths = [path.absolute() for path in paths]
    base = Path(os.path.commonpath([path.parent for path in paths]))
    ids = [id_of(path, base) for path in paths]
    if twice := duplicates(paths):
        raise UserError(f"images name {twice[0]} twice; give each once.")
    return Images(
        "folder", _folder(base), ids, functools.partial(listed, base, paths)
    )  # and nothing else that lies there


def _objects(images: Mapping | Sequence | Tensor | np.ndarray, labels: Any) -> Images:
    if isinstance(images, Tensor | np.ndarray) and not images.ndim:
        raise UserError("images is a single number: expected a tensor [B, 3, H, W].")
    named = isinstance(images, Mapping)
    each: Iterable[Any] = images.values() if isinstance(images, Mapping) else images
    if not len(each := list(each)):
        raise UserError("there are no images.")
    names = [str(name) for name in images] if isinstance(images, Mapping) else [f"number {k}" for k in range(len(each))]
    if odd := [name for name in names if "${" in name or not name.isprintable() or not name.strip()]:
        raise UserError(f"the name {odd[0]!r} of an image holds what no name can; give it another one.")
    ids = names if named else [digest(image, name) for image, name in zip(each, names, strict=True)]
    if twice := duplicates(ids):
        first, second, *_ = (k for k, id in enumerate(ids) if id == twice[0])
        raise UserError(
            f"images {first} and {second} are the same; give each once, or give them names: {{name: image}}."
        )
    known = _labels(labels, ids, names)
    there = dict(zip(ids, each, strict=True))
    collection = _collection(there) if named else None  # a name says nothing of the image
    source = functools.partial(GivenImages, there, known, collection=collection)
    settings = {"_target_": "bench.images.given.given"}
    return Images("given", settings, ids, source)


def _collection(images: Mapping[str, Any]) -> str:
    told = [f"{id} {hashlib.sha256(content(plain(image, id))).hexdigest()}" for id, image in images.items()]
    return hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()[:16]


def _labels(labels: Any, ids: list[str], names: list[str]) -> dict[str, int]:
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        if strange := [name for name in labels if name not in names]:
            raise UserError(f"labels name {strange[0]!r}, which is none of the images.")
        return {id: _class(labels[name], name) for id, name in zip(ids, names, strict=True) if name in labels}
    labels = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else labels
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise UserError(
            f"labels is {a_kind(labels)}: expected the number of a class for each image, in a list or a dict."
        )
    labels = list(labels)
    if len(labels) != len(ids):
        raise UserError(f"{len(labels)} labels of {len(ids)} images: expected one each.")
    return {id: _class(label, name) for id, label, name in zip(ids, labels, names, strict=True)}


def _class(label: Any, name: str) -> int:
    """UserError: it is no whole number."""
    try:
        if int(label) == label and 0 <= label < MANY:
            return int(label)
    except (TypeError, ValueError, OverflowError):
        pass
    raise UserError(f"the label of image {name} is {label!r}: expected the number of a class.")
