"""What is written down about images in text files: labels, and lists of ids."""

import codecs
import csv
import io
import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path

from bench.errors import UserError

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_labels(table: Path, names: Mapping[str, str], *, whole: bool = True) -> dict[str, int]:
    """Labels by id, from a csv with a column `file` or `id` and a column `label`, a class index or nothing.

    names: what the first column may say, and whose id that is; ä is ä in whichever of Unicode's forms. Rows of pictures
    that are not there are passed over, unless all are: then the names are of another form.  whole: whether these are all
    pictures that the table may speak of; of some of them it may say nothing.
    """
    ids = {composed(name): id for name, id in names.items()}
    labels: dict[str, int] = {}
    known, stranger = False, None
    rows = csv.DictReader(io.StringIO(read_text(table, str(table)), newline=""))
    try:
        key = next((k for k in ("file", "id") if k in (rows.fieldnames or [])), None)
        got = rows.fieldnames or []
        if key is None or "label" not in got:
            raise UserError(f"{table}, line 1: expected columns file,label or id,label; got {','.join(got)}")
        if twice := [name for name in (key, "label") if got.count(name) > 1]:
            raise UserError(f"{table}, line 1: two columns are called {twice[0]}")
        for row in rows:
            name, label, where = row[key], row["label"], f"{table}, line {rows.line_num}"
            if label is None or None in row:
                raise UserError(f"{where}: expected {len(rows.fieldnames)} columns")  # type: ignore[arg-type]
            label = label.strip()
            if label and not (label.isdecimal() and len(label) < 10):
                raise UserError(f"{where}: label {label!r} is not a class index (0, 1, 2, …)")
            id = ids.get(composed(name), ids.get(composed(name.strip().removeprefix("./"))))
            known, stranger = known or id is not None, name if stranger is None else stranger
            if id is not None and label and labels.setdefault(id, int(label)) != int(label):
                raise UserError(f"{where}: {name} has another label on an earlier line")
    except csv.Error as error:
        raise UserError(f"{table}, line {rows.line_num}: {error}") from error
    if whole and names and stranger is not None and not known:
        raise UserError(f"{table} names none of the images: it says {stranger!r}, an image is {next(iter(names))!r}")
    return labels


def read_ids(file: Path, known: Collection[str] = ()) -> list[str]:
    """One a line; from # on, at the start of a word, a comment, unless the line is one of the ids that are known."""
    lines, there = read_text(file, f"data.subset={file}").splitlines(), {*map(composed, known)}
    whole = [line.strip() if composed(line.strip()) in there else None for line in lines]
    words = (line if not line.startswith("#") else "" for line in lines)
    bare = (line.replace("\t", " ").partition(" #")[0].strip() for line in words)
    return [id for of_line, name in zip(whole, bare, strict=True) if (id := of_line or name)]


def read_text(file: Path, by: str) -> str:
    """A text file in UTF-8, or in UTF-16 that says so. UserError: it cannot be read, or is in another encoding."""
    if file.is_char_device():  # endless, as /dev/zero
        raise UserError(f"{by} is no file")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{by} cannot be read: {error.strerror}") from error
    encoding = "utf-16" if content.startswith(UTF16) else "utf-8-sig"
    try:
        text = content.decode(encoding)
        wrong = text.find("\0")
        line = text.count("\n", 0, wrong) + 1
    except UnicodeDecodeError as error:
        wrong, line = error.start, content.count(b"\n", 0, error.start) + 1
    if wrong >= 0:
        raise UserError(f"{by}, line {line}: the file is in another encoding than UTF-8; save it as UTF-8")
    return text


def composed(name: str) -> str:
    """The one of Unicode's forms of a name in which ä is one character: what file systems and editors part in."""
    return unicodedata.normalize("NFC", name)
