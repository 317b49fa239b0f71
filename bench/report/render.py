"""Numbers to tables that people read: Markdown and LaTeX from the same grids of cells."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bench.papers import contradictions
from bench.report import means

TITLES = {"insertion": "Insertion", "deletion": "Deletion", "gap": "GAP", "score": "Score", "fps": "Images / s"}
ARROWS = {1: " ↑", -1: " ↓", None: ""}  # higher or lower is better; not every score says
NOTHING = "–"
TOUCHED = "Contradictions"


@dataclass(frozen=True)
class Cell:
    """One entry of a table; the best of its column is bold, and what is not told from it has a dagger."""

    text: str
    bold: bool = False
    dagger: bool = False
    marks: tuple[int, ...] = ()  # the contradictions that touch this number


@dataclass(frozen=True)
class Grid:
    """One table: its metric and confidence, its data and model, the names of its columns, its rows."""

    metric: str
    title: str
    header: list[str]
    rows: list[list[Cell]]
    lines: list[str] = field(default_factory=list)  # below it
    contradictions: list[int] = field(default_factory=list)  # all that touch it


def grids(numbers: pd.DataFrame, labels: dict[str, str], threshold: float, footers: dict | None = None) -> list[Grid]:
    """A grid per metric, confidence, data and model; a row per row.

    labels: {run_id: what tells it from another run of the same cell}. footers: statistics.compare's. A confidence split
    of a metric is left out where it holds neither a measured nor a published value for any model; "all images" never is.
    """
    found, everywhere = [], contradictions.of_all(numbers["contradictions"])
    for (metric, confidence), family in numbers.groupby(["metric", "confidence"], sort=False):
        if confidence == "all" or family[["mean", "published"]].notna().any(axis=None):
            for (data, model), part in family.groupby(["data", "model"], sort=False):
                key = (data, model, metric, confidence)
                found.append(
                    _grid(part, metric, title(*key, threshold), labels, (footers or {}).get(key, []), everywhere)
                )
    return found


def title(data: str, model: str, metric: str, confidence: str, threshold: float) -> str:
    """Of one table."""
    return f"{model} · {metric} · {split(confidence, threshold)} · {data}"


def split(confidence: str, threshold: float) -> str:
    """Of which images a table is."""
    words = {"all": "all images", "low": f"confidence < {threshold:.2f}", "high": f"confidence ≥ {threshold:.2f}"}
    return words[confidence]


def markdown(grid: Grid) -> str:
    """A heading and a table."""
    lines = ["| " + " | ".join(grid.header) + " |", "| --- |" + " ---: |" * (len(grid.header) - 1)]
    for row in grid.rows:
        texts = (
            (f"**{cell.text}**" if cell.bold else cell.text + " †" * cell.dagger)
            + (f" <sup>{_bracketed(cell.marks)}</sup>" if cell.marks else "")
            for cell in row
        )
        lines.append("| " + " | ".join(texts) + " |")
    said = [f"{TOUCHED}: {_bracketed(grid.contradictions)}."] if grid.contradictions else []
    below = "".join(f"\n{line}\n" for line in [*grid.lines, *said])
    return f"## {grid.title}\n\n" + "\n".join(lines) + "\n" + below


def references(numbers: Iterable[int], folder: Path) -> str:
    """The end of a report in Markdown: the titles of the contradictions that it names in brackets, and where they are."""
    entries = {number: contradictions.entries()[number] for number in sorted({*numbers})}
    if not entries:
        return ""
    titles = "".join(f"- [{number}] {entry.title}\n" for number, entry in entries.items())
    places = {number: contradictions.href(number, folder) for number in entries}
    links = "".join(f"[{number}]: {place}\n" for number, place in places.items() if place)
    return f"## {TOUCHED}\n\nEntries of `docs/contradictions.md`:\n\n{titles}" + (f"\n{links}" if links else "")


def latex(grid: Grid) -> str:
    """A table environment; needs \\usepackage{booktabs} and nothing else."""
    lines = [" & ".join(_escape(name) for name in grid.header) + r" \\", r"\midrule"]
    for row in grid.rows:
        texts = (
            (rf"\textbf{{{_escape(cell.text)}}}" if cell.bold else _escape(cell.text + " †" * cell.dagger))
            + (f"$^{{{','.join(map(str, cell.marks))}}}$" if cell.marks else "")
            for cell in row
        )
        lines.append(" & ".join(texts) + r" \\")
    said = f"{TOUCHED} (docs/contradictions.md): {', '.join(map(str, grid.contradictions))}."
    columns = "l" + "r" * (len(grid.header) - 1)
    return "\n".join([
        r"\begin{table}\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_escape(grid.title)}}}",
        rf"\makebox[\linewidth][c]{{\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}}",
        *(rf"\par {_escape(line)}" for line in [*grid.lines, *([said] if grid.contradictions else [])]),
        r"\end{table}",
        "",
    ])  # fmt: skip


def write(
    stem: Path, title: str, facts: list[str], grids: list[Grid], notes: list[str], numbers: pd.DataFrame
) -> list[Path]:
    """<stem>.md, .csv and .tex; the paths, in this order.  facts: lines above the tables; notes: below them."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    parts = [f"# {title}\n", "".join(f"- {fact}\n" for fact in facts)]
    parts += [markdown(grid) for grid in grids]
    if notes:
        parts.append("## Notes\n\n" + "".join(f"{i}. {note}\n" for i, note in enumerate(notes, 1)))
    if ending := references((number for grid in grids for number in grid.contradictions), stem.parent):
        parts.append(ending)
    comments = [f"% {line}\n" for line in [title, r"needs \usepackage{booktabs}", *facts, *notes]]
    contents = {
        "md": "\n".join(parts),
        "csv": numbers.to_csv(index=False, float_format="%.6g", lineterminator="\n"),
        "tex": "".join(comments) + "\n" + "\n".join(latex(grid) for grid in grids),
    }
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in contents]
    for path, text in zip(paths, contents.values(), strict=True):
        path.write_text(text)
    return paths


def _grid(
    part: pd.DataFrame, metric: str, title: str, labels: dict[str, str], lines: list[str], everywhere: set[int]
) -> Grid:
    """Per quantity a measured column and, where the paper has a cell for any row, its value, Δ and the verdict.

    everywhere: contradictions that touch all cells of the report; they are named below the table only.
    """
    shown = list(dict.fromkeys(part["quantity"]))
    printed = {q: (part.loc[part["quantity"] == q, "verdict"] != "").any() for q in shown}
    header = ["Method"]
    for quantity in shown:
        header.append(TITLES[quantity] + ARROWS[means.sign(metric, quantity)])
        header += ["published", "Δ", "verdict"] if printed[quantity] else []
    rows = []
    for (name, run_id), cells in part.groupby(["row", "run_id"], sort=False, dropna=False):
        label = labels.get(run_id)
        row = [Cell(f"{name} ({label})" if label else name)]
        for quantity, cell in zip(shown, cells.to_dict("records"), strict=True):
            row.append(Cell(_measured(cell), bold=cell["standing"] == "best", dagger=cell["standing"] == "level"))
            if printed[quantity]:
                row += [
                    Cell(_text(cell["published"]), marks=contradictions.marks(cell["contradictions"], everywhere)),
                    Cell(_number(cell["difference"], "+")),
                    Cell(cell["verdict"]),
                ]
        rows.append([*row, Cell(count(cells.iloc[0]))])
    return Grid(metric, title, [*header, "n"], rows, lines, contradictions.of_any(part["contradictions"]))


def _bracketed(numbers: Iterable[int]) -> str:
    return ", ".join(f"[{number}]" for number in numbers)


def _measured(line: dict) -> str:
    """mean ± half the interval."""
    if pd.isna(line["run_id"]):
        return "not run"
    return estimate(line["mean"], line["ci_low"], line["ci_high"])


def estimate(mean: float, low: float, high: float, digits: int = 4) -> str:
    """mean ± half its interval, if it has one."""
    half = (high - low) / 2
    return _number(mean, digits=digits) + ("" if pd.isna(mean) or pd.isna(half) else f" ± {half:.{digits}f}")


def count(line: pd.Series) -> str:
    return f"{line['n']}" + (f" (+ {line['failed']} failed)" if line["failed"] else "")


def _number(value: float, sign: str = "-", digits: int = 4) -> str:
    return NOTHING if pd.isna(value) else f"{round(value, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no negative zero


def _text(value: str | None) -> str:
    return NOTHING if pd.isna(value) else value


def _escape(text: str) -> str:
    """LaTeX's special characters, and the few others that our tables use."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: "\\" + c for c in "_%&#${}"}
    special |= {"±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "Δ": r"$\Delta$", "–": "--", "·": r"$\cdot$"}
    special |= {"†": r"$\dagger$", "τ": r"$\tau$"}
    special |= {"<": "$<$", ">": "$>$", "≥": r"$\geq$", "≤": r"$\leq$"}
    pattern = "|".join(map(re.escape, special)) + r"|(?<![\w.])-(?=\d)"  # a minus sign, not a hyphen
    return re.sub(pattern, lambda match: special.get(match[0], "$-$"), text)
