"""A file is there whole or not at all: readers never see a part of one, and neither a crash nor a power cut leaves one."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UserError


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """A hidden path beside `file` to write to; it takes the file's name when the block has ended well, and its content and
    its name are on the disk when this returns.

    UserError: it cannot be written, for instance because the disk is full.
    """
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        make(file.parent)
        yield hidden
        synchronise(hidden)
        os.replace(hidden, file)
        synchronise(file.parent)
    except OSError as error:
        raise UserError(
            f"{file} cannot be written ({error.strerror or error}): make room there, or name another folder with "
            "paths.results=…; what is written already stays."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink()


def make(folder: Path) -> None:
    """The folder and those above it, each on the disk."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True)
        synchronise(folder.parent)


def synchronise(path: Path) -> None:
    """Returns when the disk has what was written: of a file its content, of a folder the names in it."""
    if path.is_dir() and os.name != "posix":  # Windows opens no folder, and has its names on the disk already
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def writable(folder: Path) -> None:
    """UserError: nothing can be written there. Makes nothing."""
    for part in ("rows", "runs", "attributions"):
        if os.path.lexists(folder / part) and not (folder / part).is_dir():
            raise UserError(f"paths.results={folder}: {folder / part} is no folder; name another folder.")
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        why = f"{there} is no folder" if not there.is_dir() else f"{there}: {error.strerror}"
        raise UserError(f"paths.results={folder} cannot be written ({why}): name another folder.") from error
