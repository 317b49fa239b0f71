"""What docs/contradictions.md says, and which printed numbers it touches.

An entry there is an anchor, a title, text, and a line of what it touches: tables and figures by the names of their
experiments, and, after a colon, which of their rows, networks, metrics or quantities, if it is not all of them:

    <a id="c3"></a>
    ### 3. LA's Table 3 prints VGG16 twice
    …
    - Touches: la_table3: maxvit_t; la_table4, aii_table4

`every table` stands for all, so that `every table: agi` follows from the rows that tables have.
"""

import functools
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.choices import ROOT
from bench.errors import UserError

PAGE = ROOT / "docs" / "contradictions.md"
ENTRY = re.compile(r'<a id="c(\d+)"></a>\n### (\d+)\. ([^\n]+)\n(.*?)(?=<a id="c|\Z)', re.S)
TOUCHES = re.compile(r"^- Touches: (.+(?:\n  .+)*)", re.M)
EVERY = "every table"


@dataclass(frozen=True)
class Entry:
    """One contradiction. touches: pairs of tables and, of them, the names that are meant; none: all."""

    number: int
    title: str
    touches: tuple[tuple[frozenset[str], frozenset[str]], ...]

    def touch(self, table: str, names: Iterable[str]) -> bool:
        """Whether it touches a number of this table. names: the number's printed row, network, metric and quantity."""
        return any({table, EVERY} & tables and (not only or only & {*names}) for tables, only in self.touches)


@functools.cache
def entries(page: Path = PAGE) -> dict[int, Entry]:
    """{number: entry}, in the page's order; nothing where the page is not. UserError: an entry that cannot be read."""
    found = {}
    for anchor, number, title, text in ENTRY.findall(page.read_text(encoding="utf-8") if page.exists() else ""):
        line = TOUCHES.search(text)
        if anchor != number or not line:
            raise UserError(f"{page}: entry {number} has another anchor (c{anchor}) or no line `- Touches: …`.")
        found[int(number)] = Entry(int(number), title.replace("`", ""), tuple(map(_scope, line[1].split(";"))))
    return found


def touching(table: str, *names: str) -> str:
    """The numbers of the entries that touch a printed number, '1 6 10', as the CSV of a report has them."""
    return " ".join(str(entry.number) for entry in entries().values() if entry.touch(table, names))


def numbers(text: object) -> list[int]:
    """[1, 6, 10] of '1 6 10'; nothing of anything else, an empty cell for instance."""
    return [int(number) for number in text.split()] if isinstance(text, str) else []


def of_all(cells: Iterable[object]) -> set[int]:
    """What touches every one of a table's cells that anything touches: said below, it need not stand at each."""
    touched = [{*numbers(cell)} for cell in cells if numbers(cell)]
    return set.intersection(*touched) if touched else set()


def of_any(cells: Iterable[object]) -> list[int]:
    """What touches one of a table's cells or more."""
    return sorted({number for text in cells for number in numbers(text)})


def marks(text: object, everywhere: set[int]) -> tuple[int, ...]:
    """What stands at one cell: what touches it, but for what touches them all."""
    return tuple(number for number in numbers(text) if number not in everywhere)


def href(number: int, folder: Path) -> str | None:
    """Where the entry is, seen from this folder; None from outside of the repository, where it has no fixed place."""
    if not folder.resolve().is_relative_to(ROOT):
        return None
    return f"{Path(os.path.relpath(PAGE, folder.resolve())).as_posix()}#c{number}"


def _scope(text: str) -> tuple[frozenset[str], frozenset[str]]:
    tables, _, only = text.partition(":")
    return tuple(
        frozenset(" ".join(name.split()) for name in part.split(",") if name.strip()) for part in (tables, only)
    )
