"""Images from Hugging Face `datasets`: a data set of the hub, or parquet files on disk."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bench.errors import UserError, did_you_mean
from bench.images.files import fingerprint, marked, read_bytes, stamp
from bench.images.parquet import check_content, parquet_files
from bench.images.pictures import prepared
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError, Sample, duplicates

USUAL = "validation"  # the split, unless data.split says which


class HuggingFace:
    """One row an image, its id the row's number, or what `id_column` says with `/` written `__`.

    path: a data set of the hub. root: a parquet file, or a folder of them (no network is used). One of the two.
    split: null is `validation`, or the only one that there is.
    Pictures are decoded from their bytes, as `bench.images.files` does it, and turned upright, as `datasets` itself does it.
    """

    def __init__(
        self,
        path: str | None,
        root: str | None,
        split: str | None,
        name: str | None,
        image_column: str,
        label_column: str | None,
        id_column: str | None,
        preprocessing: Preprocessing,
    ):
        self.preprocessing, self.image_column, self.label_column = preprocessing, image_column, label_column
        self.crop = True
        table, files, split = _open(path, root, split, name)
        place = root if root is None else str(Path(str(root)).expanduser().resolve())
        self.folder = None if place is None else Path(place) if Path(place).is_dir() else Path(place).parent
        self.collection = str([path, place, name, split])  # another one is another run
        self.table = _without_decoding(table)
        for key, column in (("image", image_column), ("label", label_column), ("id", id_column)):
            if column is not None and column not in (known := self.table.column_names):
                hint = did_you_mean(column, known) or f" It has {', '.join(known)}."
                raise UserError(f"data.{key}_column={column} is not a column of {path or root}.{hint}")
        if not _of_pictures(self.table.features[image_column]):
            kind = getattr(self.table.features[image_column], "dtype", "something else")
            raise UserError(f"data.image_column={image_column} holds {kind} and no pictures; name another column")
        self.labels, self.classes = self._labels()
        self.files = ", ".join(map(stamp, files)) if files and self._holds_all() else None
        if id_column is None:
            self.ids = [f"row-{k:06d}" for k in range(len(self.table))]
        else:
            self.ids = [str(value).replace("/", "__") for value in self.table[id_column]]
            for k, value in enumerate(self.table[id_column]):
                if value is None or not str(value).strip() or "\0" in str(value):
                    raise UserError(f"data.id_column={id_column} says {value!r} in row {k}; name another column")
        if twice := duplicates(self.ids):
            raise UserError(f"data.id_column={id_column} says {twice[0]} more than once; name another column")
        self.row = {id: k for k, id in enumerate(self.ids)}

    def fingerprint(self, id: str) -> str:
        try:
            return fingerprint(self._content(id), self.label(id))
        except ImageError as error:
            return fingerprint(str(error).encode(), None)

    def label(self, id: str) -> int | None:
        return self.labels[self.row[id]]

    def stamp(self, id: str) -> str | None:
        return self.files

    def load(self, id: str) -> Sample:
        content, label = self._content(id), self.label(id)
        with marked(made_of := fingerprint(content, label)):
            x, size = prepared(content, id, self.preprocessing, upright=True)
        return Sample(id, x, made_of, label, size=size)

    def _content(self, id: str) -> bytes:
        value = self.table[self.row[id]][self.image_column]
        if isinstance(value, dict):  # how `datasets` stores an image: its bytes, or where they are
            value = value["bytes"] or (self._beside(value["path"]) if value["path"] else None)
        if not isinstance(value, bytes):
            raise ImageError(f"{id}: no picture in column {self.image_column}")
        return value

    def _beside(self, path: str) -> bytes:
        """A file that a table names: below its folder, if it is on disk; of the hub's `datasets` says where they are."""
        if self.folder is None:
            return read_bytes(Path(path))
        file = Path(os.path.normpath(self.folder / path))
        if not file.is_relative_to(self.folder):
            raise ImageError(f"{path}: the table names a picture outside of its folder; put it below {self.folder}")
        return read_bytes(file)

    def _holds_all(self) -> bool:
        """Whether the pictures lie in the table, none in a file that it names."""
        pictures = self.table.data.column(self.image_column)
        if not pa.types.is_struct(pictures.type):
            return True
        missing, named = (pc.struct_field(pictures, key) for key in ("bytes", "path"))
        return not pc.any(pc.and_(missing.is_null(), named.is_valid())).as_py()

    def _labels(self) -> tuple[list[int | None], int | None]:
        """Of every row, and of how many classes."""
        if self.label_column is None:
            return [None] * len(self.table), None
        feature = self.table.features[self.label_column]
        if "int" not in str(getattr(feature, "dtype", None)):
            raise UserError(
                f"data.label_column={self.label_column} holds no class indices; name another column, or null"
            )
        labels = [None if label == -1 else label for label in self.table[self.label_column]]  # -1: `datasets`' unknown
        for k, label in enumerate(labels):
            if label is not None and label < 0:
                raise UserError(f"data.label_column={self.label_column} says {label} in row {k}: no class index")
        return labels, getattr(feature, "num_classes", None)


def _open(
    path: str | None, root: str | None, split: str | None, name: str | None
) -> tuple[Any, list[Path], str | None]:
    """The table of a split, of the hub or of parquet files; these files; and which split it is."""
    path, root = path or None, root or None
    if (path is None) == (root is None):
        raise UserError("data=hf needs either data.path=… (a data set of the hub) or data.root=… (parquet files)")
    if root is not None and name is not None:
        raise UserError(f"data.name={name} is of data sets of the hub; name its folder in data.root")
    try:
        import datasets
    except ImportError as error:
        raise UserError('data=hf needs the datasets package: pip install "heatproof[hf]"') from error
    split = split if split is None else str(split)
    files, split = ([], split or USUAL) if root is None else parquet_files(Path(str(root)).expanduser(), split)
    try:
        if root is None:
            return datasets.load_dataset(path, name, split=split), files, split
        return (
            datasets.load_dataset("parquet", data_files={"images": list(map(str, files))}, split="images"),
            files,
            split,
        )
    except Exception as error:  # its own errors are of no one class, and those of what it reads with come through
        check_content(files)
        said = " ".join(str(error.__cause__ or error).split())[:500]
        raise UserError(
            f"data set {path or root}, {f'split {split}, ' if split else ''}cannot be opened: {said}"
        ) from error


def _of_pictures(feature: Any) -> bool:
    """`datasets`' own images, or bytes, or what it stores an image as."""
    stored = isinstance(feature, dict) and {"bytes", "path"} <= feature.keys()
    return stored or type(feature).__name__ == "Image" or "binary" in str(getattr(feature, "dtype", None))


def _without_decoding(table: Any) -> Any:
    """The same rows with pictures as bytes, so that a fingerprint is of the file and a broken picture breaks alone."""
    from datasets import Image

    for column, feature in table.features.items():
        if isinstance(feature, Image):
            table = table.cast_column(column, Image(decode=False))
    return table
