"""heatproof list methods|metrics|models|data|experiments: a line each, by what its yaml opens with (whose, what it costs);
of methods and metrics the paper too, where docs/methods.md and docs/metrics.md name one that the yaml does not.

Your own, in ./conf of the working folder, are marked with a star.
"""

import re
import shutil
import sys
from pathlib import Path

from bench.choices import CONF, ROOT, files, settings_of
from bench.cli import command
from bench.errors import UserError, did_you_mean

CELLS = re.compile(r"^\| `(\w+)` \| ([^|]+) \|", re.M)  # of a table's row the first two
YEAR = re.compile(r"\b(19|20)\d\d\b")
GROUPS = {"methods": "method", "metrics": "metric", "models": "model", "data": "data", "experiments": "experiment"}


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in GROUPS:
        hint = did_you_mean(arguments[0], GROUPS) if arguments else ""
        raise UserError(f"heatproof list takes one of {', '.join(GROUPS)}.{hint}")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(arguments[0]):
        print(line if width is None or len(line) <= width else f"{line[: width - 1]}…")


def lines(what: str) -> list[str]:
    found, cited = files(GROUPS[what]), papers(what)
    column = max(map(len, found), default=0) + 1
    listed = []
    for name, file in found.items():
        text, paper = about(file), cited.get(name, "")
        text += f" [{paper}]" if paper and paper not in text else ""
        listed.append(f"{name + ('' if CONF in file.parents else '*'):{column}} {text}")
    return listed


def papers(what: str) -> dict[str, str]:
    """{name: Pan et al. 2021}, by the tables of our documentation; of what it gives a year for."""
    page = ROOT / "docs" / f"{what}.md"
    cells = CELLS.findall(page.read_text(encoding="utf-8")) if page.exists() else []
    return {name: paper.strip() for name, paper in reversed(cells) if YEAR.search(paper)}


def about(file: Path) -> str:
    """An experiment's title; else the comment that the yaml opens with, as one line; what is wrong, if it cannot be read."""
    try:
        settings = settings_of(file).get("experiment")
    except UserError as error:
        return str(error)
    text = file.read_text(encoding="utf-8")
    if isinstance(settings, dict) and "title" in settings:
        return settings["title"]
    opening = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        opening.append(line.lstrip("# "))
    return " ".join(opening)


if __name__ == "__main__":
    command(__doc__, main)
