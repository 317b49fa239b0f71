"""Pictures on disk: a folder of one's own, scikit-image's photographs, the images that LA's authors released."""

import hashlib
import os
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import torch

from bench.errors import UserError
from bench.images.labels import read_labels
from bench.images.listing import by_id, directory, id_of, natural, pictures_under, readable, sizes, suffixes
from bench.images.pictures import SUFFIXES, prepared
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError, Sample
from bench.ranges import Between

IMAGENET = 1000  # classes


class ImageFiles:
    """One file an image. The sources below only find files and labels.

    upright: turn a picture as its EXIF orientation says. Right for one's own; ImageNet's evaluation ignores it.
    crop: False for pictures that are already cut to the network's input.
    classes: of which classes the labels are numbers, ImageNet's 1000 for instance; None: nobody knows.
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
        classes: int | None = None,
        collection: str | None = None,
    ):
        self.ids = sorted(paths, key=natural)
        self.paths, self.labels, self.preprocessing = paths, labels, preprocessing
        self.upright, self.crop, self.classes, self.collection = upright, crop, classes, collection

    def label(self, id: str) -> int | None:
        return self.labels.get(id)

    def fingerprint(self, id: str) -> str:
        try:
            return fingerprint(read_bytes(self.paths[id]), self.label(id))
        except ImageError as error:
            return fingerprint(str(error).encode(), None)

    def stamp(self, id: str) -> str | None:
        try:
            return f"{stamp(self.paths[id])}, label {self.label(id)}"
        except OSError:
            return None

    def load(self, id: str) -> Sample:
        path, label = self.paths[id], self.label(id)
        content = read_bytes(path)
        with marked(made_of := fingerprint(content, label)):
            x, size = prepared(content, readable(path), self.preprocessing, upright=self.upright, crop=self.crop)
        return Sample(id, x, made_of, label, size=size)


def folder(root: str | None, preprocessing: Preprocessing) -> ImageFiles:
    """Every picture under `root`, hidden ones aside. The id is the path below root without suffix, `/` written `__`.

    So an id is a file name, and does not change when other files come or go. Labels, if any, are in root/labels.csv.
    """
    base = directory(root, "folder", "a folder with pictures")
    files = pictures_under(base)
    if not files:
        raise UserError(
            f"no images with data.root={root}: it holds {suffixes(base)}; pictures end in {' '.join(SUFFIXES)}"
        )
    return listed(base, files, preprocessing, whole=True)


def listed(base: Path, files: Iterable[Path], preprocessing: Preprocessing, *, whole: bool = False) -> ImageFiles:
    """These files below `base`, with the ids and the labels that they have there.  whole: there are no others."""
    paths = by_id((id_of(file, base), file) for file in files)
    table = base / "labels.csv"
    names = {readable(file.relative_to(base).as_posix()): id for id, file in paths.items()} | {id: id for id in paths}
    labels = read_labels(table, names, whole=whole) if table.is_file() or table.is_symlink() else {}
    # by its place, not by its content: a folder of one's own may grow, and keeps its rows then
    return ImageFiles(paths, labels, preprocessing, upright=True, collection=str(base.resolve()))


def photos(labels: dict[str, Annotated[int, Between(0)] | None], preprocessing: Preprocessing) -> ImageFiles:
    """Photographs inside scikit-image's wheel. labels: photograph to ImageNet class, null where none is certain."""
    package = find_spec("skimage")
    if package is None:
        raise UserError('data=photos needs scikit-image: pip install "heatproof[demo]"')
    if not isinstance(labels, dict) or not all(k is None or isinstance(k, int) for k in labels.values()):
        raise UserError(f"data.labels={labels}: expected photographs and their classes, {{coffee: 967, camera: null}}")
    base = Path(package.origin).parent / "data"  # type: ignore[arg-type]
    paths = {f.stem: f for f in base.iterdir() if f.suffix in SUFFIXES and f.stem in labels}
    if missing := sorted(labels.keys() - paths.keys()):
        raise UserError(f"{base} lacks {', '.join(missing)}: pip install -U scikit-image")
    known = {id: k for id, k in labels.items() if k is not None}
    return ImageFiles(paths, known, preprocessing, classes=IMAGENET)


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
    known = {id: labels[int(id)] for id in paths}
    return ImageFiles(paths, known, preprocessing, crop=False, classes=IMAGENET, collection=sizes(paths))


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
        leads = f"a link to {readable(os.readlink(path))}: " if path.is_symlink() else ""
        raise ImageError(f"{readable(path)}: {leads}{error.strerror}") from error


@contextmanager
def marked(made_of: str) -> Iterator[None]:
    """An error of an image whose bytes are known carries their fingerprint."""
    try:
        yield
    except ImageError as error:
        error.fingerprint = made_of
        raise


def stamp(path: Path) -> str:
    file = path.stat()
    return f"{file.st_size} bytes, {file.st_mtime_ns} ns"


def fingerprint(content: bytes, label: int | None) -> str:
    return hashlib.sha256(content + f"/label={label}".encode()).hexdigest()
