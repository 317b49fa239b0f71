"""Numbers to the tables of the page: sortable entries, the published value and the verdict beside the measured one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from bench.papers import contradictions
from bench.report import means
from bench.report.render import ARROWS, NOTHING, TITLES, estimate, split, title

VERDICTS = {"reproduced": "✓", "close": "≈", "off": "✗", "not run": "○", "not readable": "?", "impossible": "⊘"}


@dataclass(frozen=True)
class Entry:
    """value: what the column sorts by; None always sorts last."""

    text: str
    value: float | None = None
    bold: bool = False
    verdict: str | None = None
    marks: tuple[int, ...] = ()  # the contradictions that touch it


@dataclass(frozen=True)
class Column:
    """first: the order of the first click, which puts the best on top."""

    name: str
    first: str = "descending"


@dataclass(frozen=True)
class Sheet:
    """One table. groups: titles, each over so many columns, between the first column and the last; or none."""

    title: str
    groups: list[tuple[str, int]]
    columns: list[Column]
    rows: list[list[Entry]]
    lines: list[str] = field(default_factory=list)  # below it
    contradictions: list[int] = field(default_factory=list)  # all that touch it


@dataclass(frozen=True)
class Tab:
    """A confidence split and its tables."""

    name: str
    title: str
    sheets: list[Sheet] = field(default_factory=list)


def tabs(
    numbers: pd.DataFrame, labels: Mapping[str, str], threshold: float, footers: Mapping[str, list[str]] | None = None
) -> list[Tab]:
    """A tab per confidence split that holds anything, a table per metric, data and model in it.

    labels: {run_id: what tells it from another run of the same cell}. footers: {a table's full title: lines below it}.
    """
    found, everywhere = [], contradictions.of_all(numbers["contradictions"])
    for confidence in means.CONFIDENCES:
        part = numbers[numbers["confidence"] == confidence]
        if len(part) and (confidence == "all" or part[["mean", "published"]].notna().any(axis=None)):
            tab = Tab(confidence, split(confidence, threshold))
            for (metric, data, model), cells in part.groupby(["metric", "data", "model"], sort=False):
                below = (footers or {}).get(title(data, model, metric, confidence, threshold), [])
                tab.sheets.append(_sheet(cells, metric, f"{model} · {metric} · {data}", labels, below, everywhere))
            found.append(tab)
    return found


def verdicts(numbers: pd.DataFrame) -> dict[str, int]:
    """How often each word was said, the known ones first."""
    counts = numbers["verdict"].replace("", None).value_counts()
    words = [*VERDICTS, *(word for word in counts.index if word not in VERDICTS)]
    return {word: int(counts[word]) for word in words if word in counts.index}


def _sheet(
    part: pd.DataFrame, metric: str, title: str, labels: Mapping[str, str], below: list[str], everywhere: set[int]
) -> Sheet:
    shown = list(dict.fromkeys(part["quantity"]))
    printed = {q: _said(part.loc[part["quantity"] == q, ["published", "verdict"]]) for q in shown}
    columns, groups = [Column("Method", "ascending")], []
    for quantity in shown:
        sign = means.sign(metric, quantity)
        name, first = TITLES.get(quantity, quantity) + ARROWS[sign], "ascending" if sign == -1 else "descending"
        columns.append(Column("measured" if any(printed.values()) else name, first))
        columns += [Column("published", first), Column("Δ")] if printed[quantity] else []
        groups += [(name, 3 if printed[quantity] else 1)] if any(printed.values()) else []
    rows = []
    for (name, run_id), lines in part.groupby(["row", "run_id"], sort=False, dropna=False):
        label, first = labels.get(run_id), lines.iloc[0]
        row = [Entry(f"{name} ({label})" if label else name)]
        for line in lines.to_dict("records"):
            row += [
                _measured(line),
                *([_published(line, everywhere), _difference(line)] if printed[line["quantity"]] else []),
            ]
        failed = f" + {first['failed']} failed" if first["failed"] else ""
        rows.append([*row, Entry(f"{first['n']}{failed}", first["n"])])
    return Sheet(title, groups, [*columns, Column("n")], rows, below, contradictions.of_any(part["contradictions"]))


def _said(cells: pd.DataFrame) -> bool:
    return bool((cells.notna() & (cells != "")).any(axis=None))


def _measured(line: dict) -> Entry:
    """mean ± half the interval; a dagger: not told from the best."""
    if pd.isna(line["run_id"]):
        return Entry("not run")
    text = estimate(line["mean"], line["ci_low"], line["ci_high"]).replace("-", "−")
    level = " †" if line["standing"] == "level" else ""
    return Entry(text + level, _value(line["mean"]), bold=line["standing"] == "best")


def _published(line: dict, everywhere: set[int]) -> Entry:
    digits = line["published"]
    marks = contradictions.marks(line["contradictions"], everywhere)
    if pd.isna(digits) or digits == "":
        return Entry(NOTHING, marks=marks)
    return Entry(str(digits).replace("-", "−"), float(digits), marks=marks)


def _difference(line: dict) -> Entry:
    verdict = None if pd.isna(line["verdict"]) else line["verdict"] or None
    return Entry(_number(line["difference"], "+"), _value(line["difference"]), verdict=verdict)


def _number(value: float, sign: str = "-") -> str:
    return NOTHING if pd.isna(value) else f"{round(value, 4) + 0.0:{sign}.4f}".replace("-", "−")


def _value(number: float) -> float | None:
    return None if pd.isna(number) else float(number)
