"""Where one row stands among others over the same images: its rank, and what parts it from the best and from its neighbours.

All pairs of a column are tested at once, as a report's marks are (bench/report/marks.py); a rank's interval follows from
them: no row that is told to be better stands below, none that is told to be worse above, all others may stand either side.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.report import marks, means, significance
from bench.report.intervals import FEW
from bench.report.quantities import ARROWS
from bench.report.table import NOTHING, Entry, Table, columns, number
from bench.store import records
from bench.text import plural

BETTER, WORSE, UNDECIDED, EQUAL, TOO_FEW = "better", "worse", "cannot tell", "equal", "too few images to tell"


@dataclass(frozen=True)
class Against:
    """One row against another. difference: its mean minus the other's; low, high: 95 %, of all pairs of the column."""

    other: str
    difference: float
    low: float
    high: float
    verdict: str
    needed: int | None  # images that would tell them apart; None: they are, or never will be


@dataclass(frozen=True)
class Standing:
    """rank: by the mean, 1 is the best; first, last: what it may be. of: rows. against: the best, then neighbours."""

    rank: int
    first: int
    last: int
    of: int
    n: int
    against: dict[str, Against]


def standing(scores: pd.DataFrame, own: object, sign: int, classes: np.ndarray | None = None) -> Standing:
    """scores: a column per row, by image, no NaN.  own: the column that is asked about.  sign: 1 if higher is better, -1.
    classes: of the images.
    """
    pairs = marks.pairs(scores.to_numpy(), classes)
    ahead, reach = sign * pairs.difference, pairs.reach  # [K, K]: a row's advantage over a column's
    names = list(scores)
    k = names.index(own)
    order = [names.index(name) for name in (sign * scores.mean()).sort_values(ascending=False, kind="stable").index]
    place = order.index(k)
    told = pairs.told & (np.abs(ahead[k]) > reach[k])
    others = {
        "best": order[0],
        "next better": order[max(0, place - 1)],
        "next worse": order[min(place + 1, len(order) - 1)],
    }
    return Standing(
        rank=1 + int((ahead[k] < 0).sum()),
        first=1 + int((told & (ahead[k] < 0)).sum()),
        last=len(names) - int((told & (ahead[k] > 0)).sum()),
        of=len(names),
        n=len(scores),
        against={what: _against(names, k, j, sign, pairs, len(scores)) for what, j in others.items() if j != k},
    )


def _against(names: list, k: int, j: int, sign: int, pairs: marks.Pairs, n: int) -> Against:
    difference, reach, error = (float(of[k, j]) for of in (pairs.difference, pairs.reach, pairs.error))
    needed = None
    if difference == 0:
        verdict = EQUAL
    elif not pairs.told:
        verdict = TOO_FEW
    elif abs(difference) > reach:
        verdict = BETTER if sign * difference > 0 else WORSE
    else:
        verdict, needed = UNDECIDED, marks.images_needed(abs(difference), reach, error, n)
    return Against(names[j], difference, difference - reach, difference + reach, verdict, needed)


def tables(lines: pd.DataFrame, rows: pd.DataFrame, runs: Mapping[str, dict]) -> list[Table]:
    """For each metric of all images how the own row stands by each score that has a better end.

    lines: means.measure's, with row, and own, which is true of the row that is asked about.  rows: load_rows's.
    """
    images, found = means.by_image(rows), []
    there = lines[(lines["confidence"] == "all") & (lines["n"] > 0)]
    for (data, model, metric), part in there.groupby(["data", "model", "metric"], sort=False):
        entries, apart = [], dict[str, int]()
        for quantity, measured in part.groupby("quantity", sort=False):
            kind = measured["kind"].iloc[0]
            if not kind.sign or not measured["own"].any() or len(measured) < 2:
                continue
            of = measured.set_index("row")
            scores = means.side_by_side(images, of["run_id"], quantity, kind)
            under = {row: records.conditions(runs[run]) for row, run in of["run_id"].items()}
            own = of.index[of["own"]][0]
            group = next(group for group in significance.comparable(scores, under) if own in group)
            apart |= {row: int(scores[row].notna().sum()) for row in scores if row not in group}
            shared = scores[group].dropna()
            classes = means.classes_of(images[of.loc[own, "run_id"]], shared.index)
            entries += _entries(kind.title + ARROWS[kind.better], standing(shared, own, kind.sign, classes))
        if entries:
            heading = f"Where it stands: {model} · {metric} · {data}"
            below = (
                [f"Not ranked with the others, as they share too few of its images: {_listed(apart)}."] if apart else []
            )
            found.append(Table(heading, columns(*HEADER), entries, below=below, of=(data, model, metric, "all")))
    return found


HEADER = ("Score", "rank", "of", "against", "row", "difference", "95 % interval", "verdict", "images needed", "n")


def _entries(title: str, of: Standing) -> list[list[Entry]]:
    between = f"{of.rank} [{of.first}, {of.last}]"
    rows = []
    for k, (what, against) in enumerate(of.against.items()):
        said = [Entry(title), Entry(between, float(of.rank)), Entry(str(of.of), float(of.of))]
        interval = NOTHING if math.isnan(against.low) else f"[{number(against.low)}, {number(against.high)}]"
        rows.append([
            *(said if not k else [Entry("")] * 3),
            Entry(what),
            Entry(str(against.other)),
            Entry(number(against.difference, "+"), against.difference),
            Entry(interval),
            Entry(against.verdict),
            Entry(NOTHING if against.needed is None else f"{against.needed:,}"),
            Entry(f"{of.n:,}", float(of.n)),
        ])  # fmt: skip
    return rows


def cost(lines: pd.DataFrame, rows: pd.DataFrame, runs: Mapping[str, dict]) -> Table:
    """What a map costs: passes and seconds of an image, the cheapest first; of each row by its first metric."""
    first = lines.drop_duplicates(["row", "method"])
    of = (
        rows[rows["status"] == "ok"]
        .groupby("run_id")[["forward_passes", "backward_passes", "seconds_attribution"]]
        .mean()
    )
    entries = []
    for line in first.to_dict("records"):
        if line["run_id"] in of.index:
            forward, backward, seconds = of.loc[line["run_id"]]
            passes = [Entry(number(value, digits=0), value) for value in (forward, backward)]
            where = records.device(runs[line["run_id"]]) or NOTHING
            entries.append([Entry(line["row"]), *passes, Entry(f"{seconds:.3g}", seconds), Entry(where)])
    entries.sort(key=lambda row: (row[1].value or 0) + (row[2].value or 0))
    names = ("Method", "forward passes", "backward passes", "seconds an image", "device")
    below = ["Passes are the network's, of one image. Seconds are the machine's: compare them on one device only."]
    return Table("What a map costs", columns(*names), entries, below=below)


def _listed(apart: Mapping[str, int]) -> str:
    return ", ".join(f"{row} ({plural(n, 'image')})" for row, n in apart.items())


NOTE = (
    "Rank: by the mean over the images that all ranked rows have; in brackets what it may be, given which rows are told "
    f"apart (differences over the same images, all pairs of a column at once, 5 %; from {FEW} units on). Images needed: "
    "about so many would tell the two apart, if they differ as they do here."
)
