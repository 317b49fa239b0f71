"""Parquet files on disk: which of them are of a split, as their names say it, and whether they fit together.

Names are read as the hub reads them (https://huggingface.co/docs/hub/datasets-file-names-and-splits): of shards, what is
before `-00000-of-00001`; else a folder or a word of the name that is one of WORDS.
"""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import UserError

WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SHARD = re.compile(r"(.+?)-\d{5}-of-\d{5}(-\w+)?")


def parquet_files(root: Path, split: str | None) -> tuple[list[Path], str | None]:
    """The files of a split, of `validation` or the only one for null, and which it is; all, if their names say no split.

    root: a file or a folder. UserError: no such split, a file that names none among others that do, one that is no
    parquet file or has other columns than the first.
    """
    if not root.exists():
        raise UserError(f"data.root={root} is not there; data=hf expects a parquet file or a folder of them")
    files = sorted(root.rglob("*.parquet")) if root.is_dir() else [root]
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(root).parts)]
    if not files:
        raise UserError(f"data.root={root} holds no parquet files")
    splits = {file: split_of(file.relative_to(root if root.is_dir() else root.parent)) for file in files}
    names = sorted({name for name in splits.values() if name})
    nameless = [file for file, name in splits.items() if not name]
    if not names:
        if split is not None:
            raise UserError(f"data.split={split}: the files of data.root={root} name no splits; leave data.split out")
    elif nameless:
        raise UserError(f"{nameless[0]} says by its name of no split, other files do ({', '.join(names)}); move it")
    else:
        split = split or (names[0] if len(names) == 1 else "validation")
        if split not in names:
            raise UserError(f"data.split={split}: data.root={root} has {', '.join(names)}; name one with data.split=")
        files = [file for file, name in splits.items() if name == split]
    _check(files)
    return files, split


def split_of(path: Path) -> str | None:
    """By its path below the root."""
    if shard := SHARD.fullmatch(path.stem):
        return next((split for split, words in WORDS.items() if shard[1].lower() in words), shard[1])
    return next((name for part in (path.stem, *reversed(path.parts[:-1])) if (name := _known(part))), None)


def _known(name: str) -> str | None:
    words = re.split(r"[^a-z]+", name.lower())
    return next((split for split, known in WORDS.items() if set(known) & set(words)), None)


def _check(files: list[Path]) -> None:
    first = None
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                rows, schema = opened.metadata.num_rows, opened.schema_arrow
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{file} cannot be read as a parquet file: {error}") from error
        if not rows:
            raise UserError(f"{file} has no rows; leave it out")
        columns = {(column.name, str(column.type)) for column in schema}
        first = first or columns
        if odd := sorted({name for name, _ in columns ^ first}):
            raise UserError(f"{file} and {files[0]} differ in their columns: {', '.join(odd)}; make them alike")


def check_content(files: list[Path]) -> None:
    """UserError: one whose rows cannot be read. Reads all of them: for when something did not work."""
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                for _ in opened.iter_batches(64):
                    pass
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{file} cannot be read: {error}") from error
