"""Images from Hugging Face `datasets`: a data set of the hub, or parquet files on disk."""

from pathlib import Path
from typing import Any

from bench.errors import UserError, did_you_mean
from bench.images.files import fingerprint, marked, read_bytes, read_picture
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError, Sample, duplicates


class HuggingFace:
    """One row an image, its id the row's number, or what `id_column` says with `/` written `__`.

    path: a data set of the hub. root: a parquet file, or a folder of them (no network is used). One of the two.
    Pictures are decoded from their bytes, as `bench.images.files` does it, and turned upright, as `datasets` itself does it.
    """

    def __init__(
        self,
        path: str | None,
        root: str | None,
        split: str,
        name: str | None,
        image_column: str,
        label_column: str | None,
        id_column: str | None,
        preprocessing: Preprocessing,
    ):
        self.preprocessing, self.image_column, self.label_column = preprocessing, image_column, label_column
        self.collection = str([path, root and str(Path(root).resolve()), name, split])  # another one is another run
        self.table = _without_decoding(_open(path, root, split, name))
        for key, column in (("image", image_column), ("label", label_column), ("id", id_column)):
            if column is not None and column not in (known := self.table.column_names):
                hint = did_you_mean(column, known) or f" It has {', '.join(known)}."
                raise UserError(f"data.{key}_column={column} is not a column of {path or root}.{hint}")
        if label_column is not None and "int" not in str(getattr(self.table.features[label_column], "dtype", None)):
            raise UserError(f"data.label_column={label_column} holds no class indices; name another column, or null")
        if id_column is None:
            self.ids = [f"row-{k:06d}" for k in range(len(self.table))]
        else:
            self.ids = [str(value).replace("/", "__") for value in self.table[id_column]]
        if twice := duplicates(self.ids):
            raise UserError(f"data.id_column={id_column} says {twice[0]} more than once; name another column")
        self.row = {id: k for k, id in enumerate(self.ids)}

    def fingerprint(self, id: str) -> str:
        row = self.table[self.row[id]]
        try:
            return fingerprint(self._content(row, id), self._label(row))
        except ImageError as error:
            return fingerprint(str(error).encode(), None)

    def stamp(self, id: str) -> None:
        return None

    def load(self, id: str) -> Sample:
        row = self.table[self.row[id]]
        content, label = self._content(row, id), self._label(row)
        with marked(made_of := fingerprint(content, label)):
            picture = read_picture(content, id, upright=True)
        return Sample(id, self.preprocessing(picture), made_of, label)

    def _content(self, row: dict[str, Any], id: str) -> bytes:
        value = row[self.image_column]
        if isinstance(value, dict):  # how `datasets` stores an image: its bytes, or where they are
            value = value["bytes"] or (read_bytes(Path(value["path"])) if value["path"] else None)
        if not isinstance(value, bytes):
            raise ImageError(f"{id}: no picture in column {self.image_column}")
        return value

    def _label(self, row: dict[str, Any]) -> int | None:
        label = row[self.label_column] if self.label_column else -1
        return None if label == -1 else label  # -1 is how `datasets` says unknown


def _open(path: str | None, root: str | None, split: str, name: str | None) -> Any:
    if (path is None) == (root is None):
        raise UserError("data=hf needs either data.path=… (a data set of the hub) or data.root=… (parquet files)")
    try:
        import datasets
    except ImportError as error:
        raise UserError('data=hf needs the datasets package: pip install "heatproof[hf]"') from error
    try:
        if path is not None:
            return datasets.load_dataset(path, name, split=split)
        place = Path(root).expanduser()
        files = sorted(map(str, place.rglob("*.parquet"))) if place.is_dir() else [str(place)]
        return datasets.load_dataset("parquet", data_files={split: files}, split=split)
    except (OSError, ValueError) as error:
        raise UserError(f"data set {path or root}, split {split}, cannot be opened: {error}") from error


def _without_decoding(table: Any) -> Any:
    """The same rows with pictures as bytes, so that a fingerprint is of the file and a broken picture breaks alone."""
    from datasets import Image

    for column, feature in table.features.items():
        if isinstance(feature, Image):
            table = table.cast_column(column, Image(decode=False))
    return table
