"""Numbers to tables that people read: one table, which markdown.py, latex.py and the page write."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from bench.papers import contradictions
from bench.report.quantities import ARROWS

NOTHING = "–"
QUARTILES, SHARE = "median [quartiles]", "share"


@dataclass(frozen=True)
class Entry:
    """One entry of a table; the best of its column is bold, and what is not told from it has a dagger.

    text: with a hyphen for a minus. value: what the column sorts by; None: always last. marks: the contradictions that touch
    this number. verdict: of a difference; empty where the paper has no such number.
    """

    text: str
    value: float | None = None
    bold: bool = False
    dagger: bool = False
    marks: tuple[int, ...] = ()
    verdict: str | None = None


@dataclass(frozen=True)
class Column:
    """better: high, low, or None where neither is."""

    name: str
    better: str | None = None


@dataclass(frozen=True)
class Table:
    """groups: titles, each over so many columns, between the first column and the last; or none.

    of: (data, model, metric, confidence), where it is of one. below: lines under it. contradictions: all that touch it.
    folded: read by who asks; a page and Markdown show its title alone until then, and LaTeX leaves it out.
    """

    title: str
    columns: list[Column]
    rows: list[list[Entry]]
    groups: list[tuple[str, int]] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    contradictions: list[int] = field(default_factory=list)
    of: tuple[str, str, str, str] | None = None
    folded: bool = False

    @property
    def prose(self) -> bool:
        """Words, and no number that a column could be sorted by."""
        return self.of is None and all(entry.value is None for row in self.rows for entry in row)


def tables(
    numbers: pd.DataFrame, labels: Mapping[str, str], threshold: float, below: Mapping[tuple, list[str]] | None = None
) -> list[Table]:
    """A table per metric, confidence, data and model, a row per row; and a folded one of medians and quartiles.

    labels: {run_id: what tells it from another run of the same cell}. below: significance.compare's lines. A confidence
    split of a metric is left out where it holds neither a measured nor a published value for any model; "all images" never.
    """
    found, everywhere = [], contradictions.of_all(numbers["contradictions"])
    for (metric, confidence), family in numbers.groupby(["metric", "confidence"], sort=False):
        if confidence == "all" or family[["mean", "published"]].notna().any(axis=None):
            for (data, model), part in family.groupby(["data", "model"], sort=False):
                of = (data, model, metric, confidence)
                heading = title(*of, threshold)
                found.append(_table(part, of, heading, labels, (below or {}).get(of, []), everywhere))
                found += _quartiles(part, of, heading, labels)
    return found


def title(data: str, model: str, metric: str, confidence: str, threshold: float) -> str:
    """Of one table."""
    return f"{model} · {metric} · {split(confidence, threshold)} · {data}"


def split(confidence: str, threshold: float) -> str:
    """Of which images a table is."""
    words = {"all": "all images", "low": f"confidence < {threshold:.2f}", "high": f"confidence ≥ {threshold:.2f}"}
    return words[confidence]


def estimate(mean: float, low: float, high: float, digits: int = 4) -> str:
    """mean ± half its interval, if it has one."""
    half = (high - low) / 2
    return number(mean, digits=digits) + ("" if pd.isna(mean) or pd.isna(half) else f" ± {half:.{digits}f}")


def number(value: float, sign: str = "-", digits: int = 4) -> str:
    return NOTHING if pd.isna(value) else f"{round(value, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no negative zero


def measured(line: Mapping, digits: int = 4) -> Entry:
    """mean ± half its interval."""
    if pd.isna(line.get("run_id", "")):
        return Entry("not run")
    standing = line.get("standing")
    text = estimate(line["mean"], line["ci_low"], line["ci_high"], digits)
    return Entry(text, _value(line["mean"]), bold=standing == "best", dagger=standing == "level")


def quartiles(line: Mapping, digits: int = 4) -> Entry:
    """median [lower quartile, upper quartile]."""
    q1, median, q3 = (number(line[name], digits=digits) for name in ("q1", "median", "q3"))
    return Entry(median if pd.isna(line["median"]) else f"{median} [{q1}, {q3}]", _value(line["median"]))


def share(line: Mapping) -> Entry:
    """Of what is possible, where both controls are there: bench/report/ceiling.py."""
    return Entry(number(line["share"], digits=2), _value(line["share"]))


def count(line: Mapping) -> Entry:
    """Of images, and of those that failed."""
    return Entry(f"{line['n']}" + (f" (+ {line['failed']} failed)" if line["failed"] else ""), float(line["n"]))


def columns(*names: str) -> list[Column]:
    """Of a table of which no column has a better end."""
    return [Column(name) for name in names]


def _table(
    part: pd.DataFrame, of: tuple, title: str, labels: Mapping[str, str], below: list[str], everywhere: set[int]
) -> Table:
    """Per quantity a measured column, its share of what is possible where that is known and, where the paper has a cell for
    any row, its value, Δ and the verdict.

    everywhere: contradictions that touch all cells of the report; they are named below the table only.
    """
    kinds = part.drop_duplicates("quantity").set_index("quantity")["kind"]
    printed = {name: (part.loc[part["quantity"] == name, "verdict"] != "").any() for name in kinds.index}
    possible = part["share"].notna().groupby(part["quantity"]).any()
    grouped = any(printed.values()) or possible.any() or any(kind.tailed for kind in kinds)
    columns, groups = [Column("Method")], []
    for name, kind in kinds.items():
        heading = kind.title + ARROWS[kind.better]
        own = [Column("measured" if grouped else heading, kind.better)]
        own += [Column(QUARTILES, kind.better)] if kind.tailed else []
        own += [Column(SHARE, "high")] if possible[name] else []
        own += [Column("published", kind.better), Column("Δ")] if printed[name] else []
        columns += own
        groups += [(heading, len(own))] if grouped else []
    rows = []
    for (name, run_id), lines in _by_row(part):
        row = [_named(name, labels.get(run_id))]
        for line in lines:
            row += [measured(line), *([quartiles(line)] if line["kind"].tailed else [])]
            row += [share(line)] if possible[line["quantity"]] else []
            row += _beside(line, everywhere) if printed[line["quantity"]] else ()
        rows.append([*row, count(lines[0])])
    return Table(title, [*columns, Column("n")], rows, groups, below, contradictions.of_any(part["contradictions"]), of)


def _quartiles(part: pd.DataFrame, of: tuple, title: str, labels: Mapping[str, str]) -> list[Table]:
    """Means, medians and quartiles of what has been run; none of quantities whose medians stand in the table itself."""
    part = part[part["median"].notna() & ~part["kind"].map(lambda kind: kind.tailed)]
    if part.empty:
        return []
    kinds = part.drop_duplicates("quantity").set_index("quantity")["kind"]
    columns = [Column("Method")]
    for kind in kinds:
        columns += [Column("mean", kind.better), Column(QUARTILES, kind.better)]
    groups = [(kind.title + ARROWS[kind.better], 2) for kind in kinds]
    rows = []
    for (name, run_id), lines in _by_row(part):
        entries = [entry for line in lines for entry in (measured(line), quartiles(line))]
        rows.append([_named(name, labels.get(run_id)), *entries, count(lines[0])])
    return [Table(f"Medians and quartiles: {title}", [*columns, Column("n")], rows, groups, of=of, folded=True)]


def _by_row(part: pd.DataFrame) -> Iterable[tuple[tuple[str, str | None], list[dict]]]:
    """((row, run_id), its lines) in the order of the rows; run_id is None of a row that has not been run."""
    found = defaultdict(list)
    for line in part.to_dict("records"):
        found[line["row"], None if pd.isna(line["run_id"]) else line["run_id"]].append(line)
    return found.items()


def _named(row: str, label: str | None) -> Entry:
    return Entry(f"{row} ({label})" if label else row)


def _beside(line: Mapping, everywhere: set[int]) -> tuple[Entry, Entry]:
    """The published value and the difference, with its verdict."""
    digits, marks = line["published"], contradictions.marks(line["contradictions"], everywhere)
    value = None if pd.isna(digits) or not digits else float(digits)
    return (
        Entry(NOTHING if pd.isna(digits) else str(digits), value, marks=marks),
        Entry(number(line["difference"], "+"), _value(line["difference"]), verdict=line["verdict"]),
    )


def _value(number: float) -> float | None:
    return None if pd.isna(number) else float(number)
