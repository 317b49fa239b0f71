"""Average ranks over images, and bars that join what the images do not tell apart.

Of each image the rows are ranked, ties sharing their mean rank (as in Friedman's test); a bar joins neighbours no two of
which a paired test tells apart: Wilcoxon's signed-rank test, Holm's correction over all pairs, 5 %. The way of Demšar (JMLR
2006), with the pairwise tests that Benavoli, Corani and Mangili (JMLR 2016) put in the place of the mean-rank test.
"""

from collections.abc import Iterator
from itertools import combinations

import pandas as pd
from omegaconf import DictConfig

from bench.figures import ranked
from bench.report import means, significance
from bench.report.exhibits import forest
from bench.report.exhibits.exhibit import Figure, Found
from bench.report.quantities import ARROWS, SPEED
from bench.store import records


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """Where three comparable rows or more have two images or more in common; of several groups the largest."""
    there = lines[(lines["confidence"] == "all") & (lines["n"] > 0) & (lines["quantity"] != SPEED)]
    images = means.by_image(found.rows)
    for of, part in there.groupby(["data", "model", "metric"], sort=False):
        charts = []
        for name, measured in part.groupby("quantity", sort=False):
            kind = measured["kind"].iloc[0]
            scores = pd.DataFrame({
                k: means.values(images[run], name, kind) for k, run in measured["run_id"].items()
            })  # fmt: skip
            under = {k: records.conditions(runs.get(run, {})) for k, run in measured["run_id"].items()}
            group = max(significance.comparable(scores, under), key=len)
            shared = scores[group].dropna()
            if len(group) > 2 and len(shared) > 1:
                names = {k: forest.named(measured["row"][k], measured["run_id"][k], found) for k in group}
                charts.append(chart(shared.rename(columns=names), kind.title + ARROWS[kind.better], kind.sign))
        if charts:
            yield forest.figure("ranks", "Average ranks", of, charts, plan, found)


def chart(scores: pd.DataFrame, title: str, sign: int) -> ranked.Chart:
    """scores: a column per row, by image.  sign: 1 if high is better, -1 if low is."""
    average = scores.rank(axis=1, ascending=sign < 0).mean().sort_values(kind="stable")
    order = list(average.index)
    points = [ranked.Point(name, rank) for name, rank in average.items()]
    return ranked.Chart(title, f"average rank over {len(scores):,} images", points, tuple(groups(scores[order])))


def groups(scores: pd.DataFrame) -> list[tuple[int, int]]:
    """First and last place of each longest run of neighbours no two of which are told apart.  scores: columns in order."""
    columns = scores.to_numpy().T
    pairs = list(combinations(range(len(columns)), 2))
    adjusted = significance.holm([significance.signed_rank(columns[i] - columns[j]) for i, j in pairs])
    apart = {pair for pair, p in zip(pairs, adjusted, strict=True) if p <= significance.LEVEL}
    found = []
    for first in range(len(columns)):
        last = first
        while last + 1 < len(columns) and not any((k, last + 1) in apart for k in range(first, last + 1)):
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
