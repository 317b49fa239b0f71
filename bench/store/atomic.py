"""A file is there whole or not at all: readers never see a part of one, and a crash leaves none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """A hidden path beside `file` to write to; it takes the file's name when the block has ended well."""
    file.parent.mkdir(parents=True, exist_ok=True)
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield hidden
        os.replace(hidden, file)
    finally:
        hidden.unlink(missing_ok=True)
