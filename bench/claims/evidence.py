"""What claims are judged by: the differences within a column, and how sure they are. A column is a network, and the images
above or below 70 % confidence or all of them, in one table.

Printed numbers are sure to half of their last digit; of measured ones the simultaneous intervals of the differences of means
over the same images (bench/report/marks.py).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from bench.papers import printed, published
from bench.report.marks import pairs
from bench.report.significance import comparable

LOWER_IS_BETTER = ("deletion", "score")  # the papers' only score is infidelity


@dataclass(frozen=True)
class Column:
    """K methods or settings. difference, reach [K, K]: of a row minus a column, and how far it may be off."""

    name: str
    labels: list[str]
    value: np.ndarray  # [K]
    difference: np.ndarray
    reach: np.ndarray
    told: bool = True  # False: too few images to tell anything
    sampled: bool = False  # measured on images

    def apart(self, a: str, b: str) -> tuple[float, float]:
        """The interval of a minus b."""
        i, j = self.labels.index(a), self.labels.index(b)
        return self.difference[i, j] - self.reach[i, j], self.difference[i, j] + self.reach[i, j]

    def at(self, label: str) -> float:
        return float(self.value[self.labels.index(label)])

    def half(self, label: str) -> float:
        """Of its last printed digit's unit."""
        i = self.labels.index(label)
        return float(self.reach[i, i]) / 2


class Evidence(Protocol):
    """columns: of a table, by `metric.quantity` or a quantity alone; empty if there is nothing."""

    def columns(self, table: str, what: str) -> list[Column]: ...


@dataclass(frozen=True)
class Printed:
    """The papers' own tables. Columns that cannot be right (results/published/impossible.csv) are left out."""

    cells: pd.DataFrame  # printed.cells's

    def columns(self, table: str, what: str) -> list[Column]:
        part = _of(self.cells, table, what)
        wrong = published.impossible(*table.split("_table")) if "_table" in table else {}
        found = []
        for (model, confidence), column in part[~part["model"].isin(wrong)].groupby(
            ["model", "confidence"], sort=False
        ):
            value, half = column["value"].to_numpy(), column["half"].to_numpy()
            found.append(
                Column(
                    _name(model, confidence), list(column["label"]), value, value[:, None] - value, half[:, None] + half
                )
            )
        return found


def as_printed() -> Printed:
    return Printed(printed.cells())


@dataclass(frozen=True)
class Measured:
    """Rows of experiments: columns table (la_table1, la_fig6), model, metric, quantity, label (the row's; in a sweep the
    setting), image, value, and, where images come in classes, group. Methods that the paper's table has not are left out,
    and those that have other images than most.
    """

    rows: pd.DataFrame

    def columns(self, table: str, what: str) -> list[Column]:
        part, known = _of(self.rows, table, what), printed.cells()
        roster = set(known.loc[known["table"] == table, "label"])
        part = part[part["label"].isin(roster)] if roster else part
        found = []
        for model, column in part.groupby("model", sort=False):
            scores = column.pivot(index="image", columns="label", values="value")
            scores = scores[max(comparable(scores), key=len)].dropna()
            if scores.empty:
                continue
            scores = scores[[label for label in dict.fromkeys(column["label"]) if label in scores]]
            groups = column.drop_duplicates("image").set_index("image")["group"] if "group" in column else None
            of = pairs(scores.to_numpy(), None if groups is None else groups[scores.index].to_numpy())
            some = f", {scores.shape[1]} of {len(roster)} rows" if scores.shape[1] < len(roster) else ""
            name = f"{model}, {len(scores)} images{some}"
            found.append(
                Column(name, list(scores), scores.mean().to_numpy(), of.difference, of.reach, of.told, sampled=True)
            )
        return found


def sign(what: str) -> int:
    """1: higher is better; -1: lower is."""
    return -1 if what.rpartition(".")[2] in LOWER_IS_BETTER else 1


def _of(cells: pd.DataFrame, table: str, what: str) -> pd.DataFrame:
    metric, _, quantity = what.rpartition(".")
    return cells[
        (cells["table"] == table) & (cells["quantity"] == quantity) & ((cells["metric"] == metric) | (metric == ""))
    ]


def _name(model: str, confidence: str) -> str:
    return (
        ", ".join(part for part in (model, "" if confidence == "all" else confidence) if part) or "a network not named"
    )
