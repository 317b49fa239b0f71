"""Data on disk, made for a test: pictures, folders of them, labels, ImageNet's layout, parquet files."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(path: Path, colour: object = 0, size: tuple[int, int] = (8, 8), mode: str = "L", **options) -> Path:
    """One colour, in the format that the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def folder(root: Path, names: Iterable[str], **options) -> Path:
    """Picture k of these file names shows the grey 40 * k."""
    root.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        picture(root / name, **{"colour": 40 * k} | options)
    return root


def imagenet(root: Path, classes: Mapping[str, Iterable[str]]) -> Path:
    """Class folders and the names of their pictures."""
    return folder(root, [f"{wnid}/{name}.JPEG" for wnid, names in classes.items() for name in names])


def labels(root: Path, rows: Mapping[str, object], key: str = "file", encoding: str = "utf-8") -> Path:
    text = "\n".join([f"{key},label", *(f"{name},{label}" for name, label in rows.items())])
    root.joinpath("labels.csv").write_bytes(text.encode(encoding))
    return root


def parquet(path: Path, images: Iterable[bytes | None], /, **columns: list) -> Path:
    """As `datasets` writes a table of images. The other columns are of whole numbers or of text."""
    import datasets

    images = [None if content is None else {"bytes": content, "path": None} for content in images]
    kinds = {"int": datasets.Value("int64"), "str": datasets.Value("string")}
    features = {name: kinds[type(values[0]).__name__ if values else "int"] for name, values in columns.items()}
    table = datasets.Dataset.from_dict(
        {"image": images} | columns, features=datasets.Features({"image": datasets.Image()} | features)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(str(path))
    return path
