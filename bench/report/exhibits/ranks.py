"""Average ranks over images, and bars that join what the images do not tell apart.

Of each image the rows are ranked, ties sharing their mean rank (as in Friedman's test). What is tested is what is shown:
differences of average ranks, paired over images, all pairs at once (bench/report/marks.py); a bar joins neighbours no two of
which are told apart. The picture is Demšar's (JMLR 2006). Where images are too few to tell anything, there are no bars.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from bench.figures import ranked
from bench.report import marks, means, significance
from bench.report.exhibits import forest
from bench.report.exhibits.exhibit import Figure, Found
from bench.report.quantities import ARROWS, SPEED
from bench.store import records


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """Where three comparable rows or more have two images or more in common; of several groups the largest."""
    lines = lines[[kind.sign != 0 for kind in lines["kind"]]]
    there = lines[(lines["confidence"] == "all") & (lines["n"] > 0) & (lines["quantity"] != SPEED)]
    images, conditions = found.images, records.conditions_of(there["run_id"], runs)
    for of, part in there.groupby(["data", "model", "metric"], sort=False):
        charts = []
        for name, measured in part.groupby("quantity", sort=False):
            kind = measured["kind"].iloc[0]
            scores = means.side_by_side(images, measured["run_id"], name, kind)
            under = {k: conditions[run] for k, run in measured["run_id"].items()}
            group = max(significance.comparable(scores, under), key=len)
            shared = scores[group].dropna()
            if len(group) > 2 and len(shared) > 1:
                names = {k: forest.named(measured["row"][k], measured["run_id"][k], found) for k in group}
                of_images = means.classes_of(images[measured["run_id"][group[0]]], shared.index)
                title = kind.title + ARROWS[kind.better]
                charts.append(chart(shared.rename(columns=names), title, kind.sign, of_images))
        if charts:
            yield forest.figure("ranks", "Average ranks", of, charts, plan, found, page=plan is not None)


def chart(scores: pd.DataFrame, title: str, sign: int, classes: np.ndarray | None = None) -> ranked.Chart:
    """scores: a column per row, by image.  sign: 1 if high is better, -1 if low is.  classes: of the images."""
    ranks = scores.rank(axis=1, ascending=sign < 0)
    average = ranks.mean().sort_values(kind="stable")
    order = list(average.index)
    points = [ranked.Point(name, rank) for name, rank in average.items()]
    bars = tuple(groups(ranks[order], classes))
    return ranked.Chart(title, f"average rank over {len(scores):,} images", points, bars)


def groups(ranks: pd.DataFrame, classes: np.ndarray | None = None) -> list[tuple[int, int]]:
    """First and last place of each longest run of neighbours no two of which are told apart.  ranks: columns in order."""
    of = marks.pairs(ranks.to_numpy(), classes)
    if not of.told:
        return []
    apart, found = np.abs(of.difference) > of.reach, []
    for first in range(len(apart)):
        last = first
        while last + 1 < len(apart) and not apart[first : last + 1, last + 1].any():
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
