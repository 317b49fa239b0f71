"""Rows to numbers: means over images, their intervals, median and quartiles, the confidence split."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench.errors import UserError
from bench.report import intervals
from bench.report.quantities import SPEED, Quantities
from metrics.quantities import Quantity

SECONDS = "seconds_attribution"

CONFIDENCES = ("all", "low", "high")


def measure(rows: pd.DataFrame, cells: pd.DataFrame, threshold: float, draws: int) -> pd.DataFrame:
    """One line per cell, confidence and quantity: quantity, kind (what it is), mean, ci_low, ci_high, q1, median, q3,
    n, failed.

    cells: columns data, model, method, metric, run_id (null: not run) and quantities ({name: what it is}).
    """
    lines, by_run, parts = [], {run: _by_name(part) for run, part in rows.groupby("run_id")}, []
    for cell in cells.to_dict("records"):
        part = by_run.get(cell["run_id"], rows[:0])
        wanted = cell.pop("quantities")
        parts += [Part(cell | {"confidence": c}, wanted, split(part, c, threshold), part) for c in CONFIDENCES]
    between = intervals.together([(part.scores, part.classes) for part in parts], draws=draws)
    for part, (low, high) in zip(parts, between, strict=True):
        lines += [part.about | numbers for numbers in _summary(part, low, high)]
    return pd.DataFrame(lines)


class Part:
    """A cell's rows of one confidence: what it is (about), scores [n, Q] and classes [n] of its scored images.

    whole: its rows of all of them.
    """

    def __init__(self, about: dict, wanted: Quantities, rows: pd.DataFrame, whole: pd.DataFrame):
        self.about, self.wanted = about, wanted
        ok = rows[rows["status"] == "ok"]
        self.scores = np.column_stack([values(ok, name, kind) for name, kind in wanted.items()])
        self.classes = classes(ok, whole[whole["status"] == "ok"])
        self.counts = {"n": len(ok), "failed": len(rows) - len(ok)}


def _by_name(rows: pd.DataFrame) -> pd.DataFrame:
    """By the names of their images, as they mostly are."""
    return rows if rows["image_id"].is_monotonic_increasing else rows.sort_values("image_id")


def by_image(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """{run_id: its scored images, by id}."""
    return {run_id: part.set_index("image_id") for run_id, part in rows[rows["status"] == "ok"].groupby("run_id")}


def values(rows: pd.DataFrame, name: str, kind: Quantity) -> pd.Series:
    """A quantity of each row; of speed, the seconds. UserError: a metric speaks of a number that no row has."""
    columns = kind.minus or (SECONDS if name == SPEED else name,)
    if lacking := set(columns) - set(rows):
        raise UserError(f"{kind.title}: rows have no {', '.join(sorted(lacking))}; QUANTITIES of its metric names it.")
    first, *second = (rows[column].astype(float) for column in columns)
    return first - second[0] if second else first


def side_by_side(
    images: Mapping[str, pd.DataFrame],
    of: pd.Series,
    name: str,
    kind: Quantity,
    confidence: str = "all",
    threshold: float = 0.0,
) -> pd.DataFrame:
    """[image, row]: a quantity of several runs over the images of a split, NaN where a row has none.

    images: by_image's.  of: the run of each row.
    """
    found = {}
    for row, run in of.items():
        of_all = values(images[run], name, kind)
        chosen = inside(images[run]["confidence"], confidence, threshold)
        found[row] = of_all if chosen is None else of_all[chosen]
    first = next(iter(found.values()), None)
    if first is not None and all(first.index.equals(column.index) for column in found.values()):  # as is usual
        stacked = np.stack([column.to_numpy() for column in found.values()], axis=1)
        return pd.DataFrame(stacked, index=first.index, columns=list(found))
    return pd.DataFrame(found)


def classes_of(run: pd.DataFrame, images: pd.Index) -> np.ndarray | None:
    """`classes` of some of a run's images.  run: its scored rows, by image."""
    return classes(run.loc[images], run)


def classes(rows: pd.DataFrame, whole: pd.DataFrame | None = None) -> np.ndarray | None:
    """The class of each row, what intervals and marks resample; None where not every one is known, or where all classes that
    there are have images: then they are no sample.

    whole: all rows of the run that these are of, by which the latter is told; None: these.
    """
    if "label" not in rows or not len(rows) or rows["label"].isna().any():
        return None
    there = {*(rows if whole is None else whole)["label"].dropna()}
    return None if there == {*range(int(max(there)) + 1)} else rows["label"].to_numpy()


def split(rows: pd.DataFrame, confidence: str, threshold: float) -> pd.DataFrame:
    """low: below the threshold; high: at it or above. An image that failed before it was classified is only in all."""
    chosen = inside(rows["confidence"], confidence, threshold)
    return rows if chosen is None else rows[chosen]


def inside(confidences: pd.Series, confidence: str, threshold: float) -> pd.Series | None:
    """Which images are of a split; None: all."""
    if confidence == "all":
        return None
    return confidences < threshold if confidence == "low" else confidences >= threshold


def _summary(part: Part, low: np.ndarray, high: np.ndarray) -> list[dict]:
    """One dict per quantity; failed images are counted, not averaged.  low, high: ends of the intervals, [Q]."""
    means = part.scores.mean(axis=0) if len(part.scores) else np.full(len(part.wanted), np.nan)
    quartiles = intervals.quartiles(part.scores).T
    lines = []
    for (name, kind), mean, a, b, (q1, median, q3) in zip(
        part.wanted.items(), means, low, high, quartiles, strict=True
    ):
        if name == SPEED:  # of the mean seconds; the images of a batch share theirs, so no interval is known
            mean, a, b, q1, median, q3 = 1 / mean, *[math.nan] * 5
        numbers = {"mean": mean, "ci_low": a, "ci_high": b, "q1": q1, "median": median, "q3": q3}
        lines.append({"quantity": name, "kind": kind, **numbers, **part.counts})
    return lines
