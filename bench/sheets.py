"""Numbers to the tables of the page: sortable entries, the published value and the verdict beside the measured one."""

from dataclasses import dataclass, field

import pandas as pd

from bench.render import NOTHING, SIGN, TITLES
from bench.tables import CONFIDENCES

VERDICTS = {"reproduced": "✓", "close": "≈", "off": "✗", "not run": "○", "not readable": "?", "impossible": "⊘"}


@dataclass(frozen=True)
class Entry:
    """value: what the column sorts by; None always sorts last."""

    text: str
    value: float | None = None
    bold: bool = False
    verdict: str | None = None


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


@dataclass(frozen=True)
class Tab:
    """A confidence split and its tables."""

    name: str
    title: str
    sheets: list[Sheet] = field(default_factory=list)


def tabs(numbers: pd.DataFrame, labels: dict[str, str], threshold: float) -> list[Tab]:
    """A tab per confidence split that holds anything, a table per metric, data and model in it.

    labels: {run_id: what tells it from another run of the same cell}.
    """
    titles = {"all": "all images", "low": f"confidence < {threshold:.2f}", "high": f"confidence ≥ {threshold:.2f}"}
    found = []
    for confidence in CONFIDENCES:
        part = numbers[numbers["confidence"] == confidence]
        if len(part) and (confidence == "all" or part[["mean", "published"]].notna().any(axis=None)):
            groups = part.groupby(["metric", "data", "model"], sort=False)
            sheets = [_sheet(cells, f"{model} · {metric} · {data}", labels) for (metric, data, model), cells in groups]
            found.append(Tab(confidence, titles[confidence], sheets))
    return found


def verdicts(numbers: pd.DataFrame) -> dict[str, int]:
    """How often each word was said, the known ones first."""
    counts = numbers["verdict"].value_counts()
    words = [*VERDICTS, *(word for word in counts.index if word not in VERDICTS)]
    return {word: int(counts[word]) for word in words if word in counts.index}


def _sheet(part: pd.DataFrame, title: str, labels: dict[str, str]) -> Sheet:
    shown = list(dict.fromkeys(part["quantity"]))
    of = {quantity: part[part["quantity"] == quantity] for quantity in shown}
    beside = {quantity: of[quantity][["published", "verdict"]].notna().any(axis=None) for quantity in shown}
    columns, groups = [Column("Method", "ascending")], []
    for quantity in shown:
        name, first = TITLES.get(quantity, quantity), "ascending" if SIGN.get(quantity) == -1 else "descending"
        columns.append(Column("measured" if any(beside.values()) else name, first))
        columns += [Column("published", first), Column("Δ")] if beside[quantity] else []
        groups += [(name, 3 if beside[quantity] else 1)] if any(beside.values()) else []
    best = {quantity: _best(of[quantity]["mean"], quantity) for quantity in shown}
    rows = []
    for (method, run_id), lines in part.groupby(["method", "run_id"], sort=False, dropna=False):
        label = labels.get(run_id)
        row = [Entry(f"{method} ({label})" if label else method)]
        for line in lines.to_dict("records"):
            quantity = line["quantity"]
            row.append(Entry(_measured(line), _value(line["mean"]), bold=line["mean"] == best[quantity]))
            if beside[quantity]:
                row.append(_published(line["published"]))
                row.append(_difference(line))
        first = lines.iloc[0]
        row.append(Entry(f"{first['n']}" + (f" + {first['failed']} failed" if first["failed"] else ""), first["n"]))
        rows.append(row)
    return Sheet(title, groups, [*columns, Column("n")], rows)


def _best(means: pd.Series, quantity: str) -> float | None:
    """The best mean, if there is a choice."""
    if quantity not in SIGN or means.count() < 2:
        return None
    return means.max() if SIGN[quantity] > 0 else means.min()


def _measured(line: dict) -> str:
    """mean ± half the interval."""
    if pd.isna(line["run_id"]):
        return "not run"
    half = (line["ci_high"] - line["ci_low"]) / 2
    return _number(line["mean"]) + ("" if pd.isna(half) else f" ± {half:.4f}")


def _published(text: str | float) -> Entry:
    return (
        Entry(NOTHING)
        if pd.isna(text)
        else Entry(str(text).replace("-", "−"), _value(pd.to_numeric(text, errors="coerce")))
    )


def _difference(line: dict) -> Entry:
    verdict = None if pd.isna(line["verdict"]) else str(line["verdict"])
    return Entry(_number(line["difference"], "+"), _value(line["difference"]), verdict=verdict)


def _number(value: float, sign: str = "-") -> str:
    return NOTHING if pd.isna(value) else f"{value:{sign}z.4f}".replace("-", "−")


def _value(number: float) -> float | None:
    return None if pd.isna(number) else float(number)
