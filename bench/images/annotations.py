"""Where the object lies in a picture, as others wrote it down. A reader is made for the ids of a source and gives

    has(id)                     whether there is an annotation of this image
    content(id)                 bytes that change when the annotation does
    stamp(id)                   size and time of its file
    drawn(id, content, size)    bool [H, W] twice, in the picture's own pixels: the object, and what nobody judges

An annotation that is missing, broken or of another picture is an ImageError in words that name it.
"""

import csv
import io
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from bench.errors import UserError
from bench.images.files import read_bytes, stamp
from bench.images.labels import composed, read_text
from bench.images.listing import by_id, files_under, id_of, readable
from bench.images.source import ImageError
from bench.markup import tree

IMAGENET_NAME = re.compile(r"(ILSVRC2012_(?:val|test)_\d{8}|n\d{8}_\d+)(?:\.\w+)?")  # unique among all of its images
IGNORED = 1000  # ImageNet-S: nobody can say
MOST = 919  # ImageNet-S: its classes, from 1
Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax
Regions = tuple[np.ndarray, np.ndarray]


class Annotations(Protocol):
    def has(self, id: str) -> bool: ...
    def content(self, id: str) -> bytes: ...
    def stamp(self, id: str) -> str | None: ...
    def drawn(self, id: str, content: bytes, size: tuple[int, int]) -> Regions: ...


class AnnotationFiles:
    """A file an image, anywhere below a folder: under the image's id, or under ImageNet's own name for it.

    read: what a file's content says of a picture, (content, name, (width, height)) -> object, ignored.
    """

    def __init__(self, folder: Path, suffix: str, read: Callable[[bytes, str, tuple[int, int]], Regions]):
        self.folder, self.suffix, self.read = folder, suffix, read
        files = [file for file in files_under(folder) if file.suffix.lower() == suffix]
        self.files = by_id((composed(id_of(file, folder)), file) for file in files)
        self.named = by_id((readable(file.stem), file) for file in files if IMAGENET_NAME.fullmatch(file.stem))

    def has(self, id: str) -> bool:
        return self._file(id) is not None

    def content(self, id: str) -> bytes:
        if (file := self._file(id)) is None:
            raise ImageError(f"{self.folder} has no mask of it; expected {id}{self.suffix} there")
        return read_bytes(file)

    def stamp(self, id: str) -> str | None:
        try:
            return stamp(self._file(id))  # type: ignore[arg-type]
        except (AttributeError, OSError):
            return None

    def drawn(self, id: str, content: bytes, size: tuple[int, int]) -> Regions:
        return self.read(content, readable(self._file(id) or id), size)

    def _file(self, id: str) -> Path | None:
        return self.files.get(composed(id)) or self.named.get(imagenet_name(id) or "")


class BoxTable:
    """Kaggle's LOC_train_solution.csv and LOC_val_solution.csv: ImageId,PredictionString; `wnid xmin ymin xmax ymax` of
    each box, in pixels of the original picture.
    """

    def __init__(self, table: Path):
        self.table = table
        rows = csv.DictReader(io.StringIO(read_text(table, f"data.masks_path={table}"), newline=""))
        if not {"ImageId", "PredictionString"} <= set(rows.fieldnames or ()):
            raise UserError(
                f"data.masks_path={table}: expected columns ImageId,PredictionString, as LOC_val_solution.csv has them; "
                f"got {','.join(rows.fieldnames or ())}"
            )
        try:
            self.said = {row["ImageId"]: row["PredictionString"] or "" for row in rows}
        except csv.Error as error:
            raise UserError(f"data.masks_path={table}, line {rows.line_num}: {error}") from error

    def has(self, id: str) -> bool:
        return self._name(id) in self.said

    def content(self, id: str) -> bytes:
        if not self.has(id):
            raise ImageError(f"{self.table} has no box of it")
        return self.said[self._name(id)].encode()

    def stamp(self, id: str) -> str:
        return self.said.get(self._name(id), "none")

    def drawn(self, id: str, content: bytes, size: tuple[int, int]) -> Regions:
        words = content.decode().split()
        try:
            boxes = [tuple(map(float, words[k + 1 : k + 5])) for k in range(0, len(words), 5)]
        except ValueError:
            boxes = [()]
        if not boxes or {len(box) for box in boxes} != {4}:
            said = " ".join(words)[:60]
            raise ImageError(f"{self.table} says {said!r}; expected wnid xmin ymin xmax ymax of each box")
        if any(box[2] > size[0] + 1 or box[3] > size[1] + 1 for box in boxes):  # type: ignore[misc]
            raise ImageError(
                f"a box of {self.table} ends outside of the picture, {size[0]} × {size[1]} pixels; the boxes are of "
                "the original pictures: take those, or the XML files, which say of what size they are"
            )
        return of_boxes(boxes, size, size)  # type: ignore[arg-type]

    def _name(self, id: str) -> str:
        return id if id in self.said else imagenet_name(id) or id


def imagenet_name(id: str) -> str | None:
    """ILSVRC2012_val_00000293 of n01440764__ILSVRC2012_val_00000293.JPEG; None of an id without one."""
    found = IMAGENET_NAME.fullmatch(id) or IMAGENET_NAME.fullmatch(id.rpartition("__")[2])
    return found[1] if found else None


def of_xml(content: bytes, name: str, size: tuple[int, int]) -> Regions:
    """ILSVRC2012's annotation of a picture: its size, and a bndbox of each object."""
    try:
        root = tree(content)
        width, height = (float(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
        boxes = list(_boxes(root))
    except ValueError as error:
        raise ImageError(f"{name}: broken, or no annotation of ILSVRC2012 ({error})") from error
    if not boxes:
        raise ImageError(f"{name}: no box in it")
    if abs(size[0] * height - size[1] * width) > max(width, height):  # more than rounding a side to whole pixels does
        raise ImageError(
            f"{name}: boxes of a picture of {width:.0f} × {height:.0f} pixels; this one has other proportions, "
            f"{size[0]} × {size[1]}"
        )
    return of_boxes(boxes, (width, height), size)


def _boxes(root: Element) -> Iterator[Box]:
    for box in root.iterfind("object/bndbox"):
        yield tuple(float(box.findtext(side, "")) for side in ("xmin", "ymin", "xmax", "ymax"))  # type: ignore[misc]


def of_boxes(boxes: list[Box], of: tuple[float, float], size: tuple[int, int]) -> Regions:
    """All pixels whose centre lies in a box.  of: width and height that the boxes count in.  size: of the picture."""
    across, down = ((np.arange(side) + 0.5) * (whole / side) for side, whole in zip(size, of, strict=True))
    inside = np.zeros((size[1], size[0]), dtype=bool)
    for left, top, right, bottom in boxes:
        inside |= ((down >= top) & (down <= bottom))[:, None] & ((across >= left) & (across <= right))
    return inside, np.zeros_like(inside)


def of_imagenet_s(content: bytes, name: str, size: tuple[int, int]) -> Regions:
    """ImageNet-S: a PNG with id = R + 256 G. 1 to 919: an object; 0: none; 1000: nobody can say."""
    picture = _png(content, name, size)
    if picture.mode != "RGB":
        raise ImageError(f"{name}: a PNG of mode {picture.mode}; ImageNet-S has RGB, id = R + 256 G")
    red, green, blue = np.moveaxis(np.asarray(picture, dtype=np.int64), 2, 0)
    ids = red + 256 * green
    if (strange := ids[(blue != 0) | (ids > MOST) & (ids != IGNORED)]).size:
        raise ImageError(f"{name}: id {strange[0]} is none of ImageNet-S (0 to {MOST}, {IGNORED}; blue is 0)")
    return (ids > 0) & (ids != IGNORED), ids == IGNORED


def of_png(content: bytes, name: str, size: tuple[int, int]) -> Regions:
    """A PNG: the object is all that is not black."""
    picture = _png(content, name, size)
    values = np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)
    if values.ndim == 3:
        values = values[..., : 1 if picture.mode == "LA" else 3].max(axis=2)  # without opacity
    inside = values != 0
    return inside, np.zeros_like(inside)


def _png(content: bytes, name: str, size: tuple[int, int]) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, which Pillow bounds
            picture = Image.open(io.BytesIO(content), formats=["PNG"])
            picture.load()
    except Exception as error:  # what Pillow raises depends on where the file is broken
        raise ImageError(f"{name}: no PNG, or a broken one") from error
    if picture.size != size:
        (a, b), (c, d) = picture.size, size
        raise ImageError(f"{name}: {a} × {b} pixels, its picture {c} × {d}; a mask must be of the picture's size")
    return picture


READERS: dict[str, Callable[[Path], Annotations]] = {
    "boxes": lambda place: BoxTable(place) if place.is_file() else AnnotationFiles(place, ".xml", of_xml),
    "imagenet_s": lambda place: AnnotationFiles(place, ".png", of_imagenet_s),
    "folder": lambda place: AnnotationFiles(place, ".png", of_png),
}
