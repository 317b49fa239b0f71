"""Pictures on disk: a folder of one's own, scikit-image's photographs, the images that LA's authors released."""

import csv
import hashlib
import io
import pickle
import re
import struct
import zlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from PIL import Image, ImageOps

from bench.errors import UserError
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError, Sample, duplicates
from bench.ranges import Between

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}  # in upper case too
UNREADABLE = (  # what Pillow raises, depending on the format and on where the file is broken
    OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError, MemoryError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


class ImageFiles:
    """One file an image. The sources below only find files and labels.

    upright: turn a picture as its EXIF orientation says. Right for one's own; ImageNet's evaluation ignores it.
    crop: False for pictures that are already cut to the network's input.
    collection: what tells these pictures from others of the same ids; None where the source's name does.
    """

    def __init__(
        self,
        paths: dict[str, Path],
        labels: dict[str, int],
        preprocessing: Preprocessing,
        *,
        upright: bool = False,
        crop: bool = True,
        collection: str | None = None,
    ):
        self.ids = sorted(paths, key=natural)
        self.paths, self.labels, self.preprocessing = paths, labels, preprocessing
        self.upright, self.crop, self.collection = upright, crop, collection

    def fingerprint(self, id: str) -> str:
        try:
            return fingerprint(read_bytes(self.paths[id]), self.labels.get(id))
        except ImageError as error:
            return fingerprint(str(error).encode(), None)

    def load(self, id: str) -> Sample:
        picture = read_picture(read_bytes(self.paths[id]), str(self.paths[id]), self.upright)
        return Sample(id, self.preprocessing(picture, crop=self.crop), self.labels.get(id))


def folder(root: str | None, preprocessing: Preprocessing) -> ImageFiles:
    """Every picture under `root`, hidden ones aside. The id is the path below root without suffix, `/` written `__`.

    So an id is a file name, and does not change when other files come or go. Labels, if any, are in root/labels.csv.
    """
    base = directory(root, "folder", "a folder with pictures")
    files = [f for f in base.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file()]
    files = [f for f in files if not any(part.startswith(".") for part in f.relative_to(base).parts)]
    paths = by_id(("__".join(f.relative_to(base).with_suffix("").parts), f) for f in files)
    table = base / "labels.csv"
    names = {f.relative_to(base).as_posix(): id for id, f in paths.items()} | {id: id for id in paths}
    labels = read_labels(table, names) if table.is_file() else {}
    # by its place, not by its content: a folder of one's own may grow, and keeps its rows then
    return ImageFiles(paths, labels, preprocessing, upright=True, collection=str(base.resolve()))


def photos(labels: dict[str, Annotated[int, Between(0)] | None], preprocessing: Preprocessing) -> ImageFiles:
    """Photographs inside scikit-image's wheel. labels: photograph to ImageNet class, null where none is certain."""
    package = find_spec("skimage")
    if package is None:
        raise UserError('data=photos needs scikit-image: pip install "heatproof[demo]"')
    base = Path(package.origin).parent / "data"
    paths = {f.stem: f for f in base.iterdir() if f.suffix in SUFFIXES and f.stem in labels}
    if missing := sorted(labels.keys() - paths.keys()):
        raise UserError(f"{base} lacks {', '.join(missing)}: pip install -U scikit-image")
    return ImageFiles(paths, {id: k for id, k in labels.items() if k is not None}, preprocessing)


def la_release(root: str | None, preprocessing: Preprocessing) -> ImageFiles:
    """`visualized_imgs/<n>.png`, 224 x 224, and the labels, `label_batch.pt`, beside it or in `data/`."""
    origin = "a clone of https://github.com/LMBTough/LA"
    base = directory(root, "la_release", origin)
    paths = by_id((f.stem, f) for f in (base / "visualized_imgs").glob("*.png"))
    if not paths:
        raise UserError(f"data.root={root} has no visualized_imgs/*.png; expected {origin}")
    tables = [f for f in (base / "label_batch.pt", base / "data" / "label_batch.pt") if f.is_file()]
    if not tables:
        raise UserError(f"data.root={root} has neither label_batch.pt nor data/label_batch.pt; expected {origin}")
    labels = _label_batch(tables[0])
    if strangers := [id for id in paths if not (id.isdecimal() and int(id) < len(labels))]:
        raise UserError(f"{paths[strangers[0]]} has no label: {tables[0]} numbers images from 0 to {len(labels) - 1}")
    return ImageFiles(paths, {id: labels[int(id)] for id in paths}, preprocessing, crop=False, collection=sizes(paths))


def _label_batch(table: Path) -> list[int]:
    try:
        labels = torch.load(table, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"{table} cannot be read as a tensor of labels; fetch it again") from error
    if not isinstance(labels, torch.Tensor) or labels.ndim != 1 or labels.is_floating_point():
        raise UserError(f"{table}: expected class indices, one an image, as an integer tensor")
    return labels.tolist()


def read_bytes(path: Path) -> bytes:
    """The file's content. A file that is gone or locked is one broken image, as one that makes no sense is."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error


def read_picture(content: bytes, name: str, upright: bool) -> Image.Image:
    """RGB, 8 bits. Transparency shows white, 16-bit grey keeps its range; `name` is what an error calls the picture."""
    if not content:
        raise ImageError(f"{name}: the file is empty")
    try:
        picture = Image.open(io.BytesIO(content))
        picture.load()
        if upright:
            picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I"):  # Pillow would clip 16-bit grey at 255 instead of scaling it
            picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture)
        return picture.convert("RGB")
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name}: not a picture that Pillow can read") from error
    except UNREADABLE as error:
        raise ImageError(f"{name}: {error}") from error


def read_labels(table: Path, names: dict[str, str]) -> dict[str, int]:
    """Labels by id, from a csv with a column `file` or `id` and a column `label`, a class index or nothing.

    names: what the first column may say, and whose id that is. Rows of pictures that are not there are passed over,
    unless all are: then the names are of another form.
    """
    labels, known, stranger = {}, False, None
    with table.open(encoding="utf-8-sig", newline="") as text:
        rows = csv.DictReader(text)
        key = next((k for k in ("file", "id") if k in (rows.fieldnames or [])), None)
        if key is None or "label" not in rows.fieldnames:
            got = ",".join(rows.fieldnames or [])
            raise UserError(f"{table}, line 1: expected columns file,label or id,label; got {got}")
        for row in rows:
            name, label, where = row[key], row["label"], f"{table}, line {rows.line_num}"
            if label is None or None in row:
                raise UserError(f"{where}: expected {len(rows.fieldnames)} columns")
            if label.strip() and not label.strip().isdecimal():
                raise UserError(f"{where}: label {label!r} is not a class index (0, 1, 2, …)")
            known, stranger = known or name in names, name if stranger is None else stranger
            if name not in names or not label.strip():
                continue
            if labels.setdefault(names[name], int(label)) != int(label):
                raise UserError(f"{where}: {name} has another label on an earlier line")
    if names and stranger is not None and not known:
        raise UserError(f"{table} names none of the images: it says {stranger!r}, an image is {next(iter(names))!r}")
    return labels


def directory(root: str | None, source: str, expected: str) -> Path:
    """`root` as a path, if it is a folder."""
    if root is None:
        raise UserError(f"data={source} needs data.root=…: {expected}")
    if not Path(root).expanduser().is_dir():
        raise UserError(f"data.root={root} is not a folder; data={source} expects {expected}")
    return Path(root).expanduser()


def by_id(pairs: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Paths by id, if no two share one: rows and saved attributions are told apart by id."""
    pairs = list(pairs)
    if twice := duplicates(id for id, _ in pairs):
        first, second = sorted(path for id, path in pairs if id == twice[0])[:2]
        raise UserError(f"{first} and {second} would both have the id {twice[0]}; rename one of them")
    return dict(pairs)


def sizes(paths: dict[str, Path]) -> str:
    """Which collection these files are: two copies of one folder are one; two folders of the same file names are two.

    A digest of ids and file sizes, so that no picture is read for it. A dangling link has no size.
    """
    listed = "\n".join(f"{id} {path.stat().st_size if path.exists() else None}" for id, path in sorted(paths.items()))
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def natural(id: str) -> tuple:
    """Sort key under which 9 comes before 10, and 01 and 1 keep an order."""
    return [int(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]+)", id))], id


def fingerprint(content: bytes, label: int | None) -> str:
    return hashlib.sha256(content + f"/label={label}".encode()).hexdigest()
