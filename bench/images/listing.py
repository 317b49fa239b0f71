"""Which files there are, and what they are called: ids, clashes, order, and which collection it is."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.errors import UserError
from bench.images.labels import composed
from bench.images.pictures import SUFFIXES, UNREAD
from bench.images.source import duplicates


def directory(root: object, source: str, expected: str) -> Path:
    """`root` as a path, if it is a folder. `~` is home."""
    if root in (None, ""):
        raise UserError(f"data={source} needs data.root=…: {expected}")
    if not (base := Path(str(root)).expanduser()).is_dir():
        raise UserError(f"data.root={root} is not a folder; data={source} expects {expected}")
    return base


def pictures_under(base: Path) -> list[Path]:
    """Every picture below a folder, hidden ones aside. Links are followed, but not in a circle; one that leads nowhere is
    listed, so that it fails by name.
    """
    return [path for path in _walk(base, frozenset()) if is_picture(path)]


def files_under(base: Path) -> list[Path]:
    """Every file below a folder, hidden ones aside, links followed; no pipe or device, which would be waited for."""
    return [path for path in _walk(base, frozenset()) if path.is_file() or not path.exists()]


def pictures_in(folder: Path) -> list[Path]:
    """Likewise, of one folder and none of its folders."""
    return [path for path in _entries(folder) if is_picture(path)]


def is_picture(path: Path) -> bool:
    """By its suffix; a link to nothing may also stand for a folder of pictures."""
    if path.suffix.lower() not in (*SUFFIXES, *UNREAD, ""):
        return False
    return bool(path.suffix) and os.path.isfile(path) or os.path.islink(path) and not os.path.exists(path)


def suffixes(base: Path) -> str:
    """What there is instead of pictures: '.txt (3), .pdf (1)', the most frequent first."""
    found = [path.suffix.lower() or path.name for path in _walk(base, frozenset())]
    counts = sorted(((found.count(suffix), suffix) for suffix in set(found)), key=lambda pair: (-pair[0], pair[1]))
    return ", ".join(f"{suffix} ({count})" for count, suffix in counts[:5]) or "no files"


def _walk(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    above = above | {os.path.realpath(folder)}
    for path in _entries(folder):
        if not os.path.isdir(path):
            yield path
        elif os.path.realpath(path) not in above:
            yield from _walk(path, above)


def _entries(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder} cannot be listed: {error.strerror}") from error


def id_of(path: Path, base: Path) -> str:
    """The path below `base` without suffix, `/` written `__`."""
    return readable("__".join(path.relative_to(base).with_suffix("").parts))


def readable(name: str | Path) -> str:
    """A file's name as text; bytes that are not UTF-8 as \\xe4, so that rows and messages can hold it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def by_id(pairs: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Paths by id, if no two share one, in whichever of Unicode's forms: rows and saved attributions are told by it."""
    pairs = list(pairs)
    if twice := duplicates(composed(id) for id, _ in pairs):
        first, second = sorted(readable(path) for id, path in pairs if composed(id) == twice[0])[:2]
        more = f"; so would files of {len(twice) - 1} more ids" if len(twice) > 1 else ""
        raise UserError(f"{first} and {second} would both have the id {twice[0]}; rename one of them{more}")
    return dict(pairs)


def sizes(paths: dict[str, Path]) -> str:
    """Which collection these files are: two copies of one folder are one; two folders of the same file names are two.

    A digest of ids and file sizes, so that no picture is read for it. A file that is gone has no size.
    """
    listed = "\n".join(f"{id} {_size(path)}" for id, path in sorted(paths.items()))
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def natural(id: str) -> tuple:
    """Sort key under which 9 comes before 10, and 01 and 1 keep an order."""
    return [_number(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]+)", id))], id


def _number(digits: str) -> tuple[int, str]:
    """Ordered as the number, however long."""
    digits = digits.lstrip("0")
    return len(digits), digits
