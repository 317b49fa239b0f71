"""A document in Markdown."""

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path

from bench.papers import contradictions
from bench.report.table import Entry, Table

TOUCHED = "Contradictions"


def written(table: Table) -> str:
    """A heading and a table; of a folded one its title, to be opened."""
    header, rows = flat(table)
    lines = ["| " + " | ".join(map(_cell, header)) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    lines += ["| " + " | ".join(map(_entry, row)) + " |" for row in rows]
    said = [f"{TOUCHED}: {_bracketed(table.contradictions)}."] if table.contradictions else []
    below = "".join(f"\n{line}\n" for line in [*map(prose, table.below), *said])
    text = "\n".join(lines) + "\n" + below
    if table.folded:
        return f"<details><summary>{escape(table.title)}</summary>\n\n{text}\n</details>\n"
    return f"## {prose(table.title)}\n\n{text}"


def prose(text: str) -> str:
    """A line of ours with names of others in it: no HTML and no links come of them. `code` and references stay."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(text.split())).replace("](", "]\\(")


def flat(table: Table) -> tuple[list[str], list[list[Entry]]]:
    """Header and rows where one line has to do: a group's first column has its title, verdicts a column of their own
    unless there is nothing else in theirs.
    """
    header = [column.name for column in table.columns]
    start = 1
    for title, span in table.groups:
        header[start] = title
        start += span
    names, columns = [], []
    for k, name in enumerate(header):
        entries = [row[k] for row in table.rows]
        said = [Entry(entry.verdict or "") for entry in entries]
        if all(entry.verdict is None for entry in entries):
            names, columns = [*names, name], [*columns, entries]
        elif any(entry.text for entry in entries):
            names, columns = [*names, name, "verdict"], [*columns, entries, said]
        else:
            names, columns = [*names, name], [*columns, said]
    return names, [list(row) for row in zip(*columns, strict=True)]


def references(numbers: Iterable[int], folder: Path) -> str:
    """The end of a document: the titles of the contradictions that it names in brackets, and where they are."""
    entries = {number: contradictions.entries()[number] for number in sorted({*numbers})}
    if not entries:
        return ""
    titles = "".join(f"- [{number}] {entry.title}\n" for number, entry in entries.items())
    places = {number: contradictions.href(number, folder) for number in entries}
    links = "".join(f"[{number}]: {place}\n" for number, place in places.items() if place)
    return f"## {TOUCHED}\n\nEntries of `docs/contradictions.md`:\n\n{titles}" + (f"\n{links}" if links else "")


def _entry(entry: Entry) -> str:
    shown = _cell(entry.text)
    text = f"**{shown}**" if entry.bold else shown + " †" * entry.dagger
    return text + (f" <sup>{_bracketed(entry.marks)}</sup>" if entry.marks else "")


def _cell(text: str) -> str:
    return prose(text).replace("|", "\\|")


def _bracketed(numbers: Iterable[int]) -> str:
    return ", ".join(f"[{number}]" for number in numbers)
