"""A file is there whole or not at all: readers never see a part of one, and a crash leaves none."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UserError


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """A hidden path beside `file` to write to; it takes the file's name when the block has ended well.

    UserError: it cannot be written, for instance because the disk is full.
    """
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield hidden
        os.replace(hidden, file)
    except OSError as error:
        raise UserError(
            f"{file} cannot be written ({error.strerror or error}): make room there, or name another folder with "
            "paths.results=…; what is written already stays."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink()


def writable(folder: Path) -> None:
    """UserError: nothing can be written there. Makes nothing."""
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        why = f"{there} is no folder" if not there.is_dir() else f"{there}: {error.strerror}"
        raise UserError(f"paths.results={folder} cannot be written ({why}): name another folder.") from error
