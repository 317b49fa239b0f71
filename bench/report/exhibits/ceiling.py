"""How much of what is possible: (score - random) / (ceiling - random), where a network and metric have both controls.

0: no better than chance; 1: as good as a greedy search for the best order on patches (methods/ceiling.py), no bound.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from bench.figures import ranked
from bench.report import intervals, means
from bench.report.exhibits import forest
from bench.report.exhibits.exhibit import Figure, Found

CHANCE, CEILING = "random", "ceiling"


def share(score: np.ndarray, chance: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """(score - chance) / (ceiling - chance), high or low; NaN where the ceiling is no better than chance."""
    room = np.asarray(ceiling - chance, dtype=float)
    return np.divide(score - chance, room, out=np.full_like(room, np.nan), where=room != 0)


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """A chart per quantity, over the images that all rows share."""
    lines = lines[[kind.sign != 0 for kind in lines["kind"]]]
    there = lines[(lines["confidence"] == "all") & (lines["n"] > 0)]
    images = means.by_image(found.rows)
    for of, part in there.groupby(["data", "model", "metric"], sort=False):
        charts = []
        for name, measured in part.groupby("quantity", sort=False):
            kind, run = measured["kind"].iloc[0], measured.drop_duplicates("row").set_index("row")["run_id"]
            if {CHANCE, CEILING} <= set(run.index):
                scores = pd.DataFrame({row: means.values(images[i], name, kind) for row, i in run.items()}).dropna()
                if len(scores) and (drawn := chart(scores, kind.title, found.cfg.report.bootstrap)):
                    charts.append(drawn)
        if charts:
            yield forest.figure("ceiling", "Share of what is possible", of, charts, plan, found)


def chart(scores: pd.DataFrame, title: str, draws: int) -> ranked.Chart | None:
    """scores: [image, row]. Shares of means, and their 95 % bootstrap intervals. None: the ceiling is chance."""
    chance, ceiling = (list(scores).index(name) for name in (CHANCE, CEILING))
    values = scores.to_numpy(dtype=float)
    mean = values.mean(axis=0)
    if mean[ceiling] == mean[chance]:
        return None
    shares = share(mean, mean[[chance]].repeat(len(mean)), mean[[ceiling]].repeat(len(mean)))
    low = high = np.full(len(mean), np.nan)
    if len(values) > 1:
        drawn = intervals.resampled(values, draws=draws)
        columns = (drawn[:, [k]].repeat(len(mean), axis=1) for k in (chance, ceiling))
        low, high = np.nanpercentile(share(drawn, *columns), [2.5, 97.5], axis=0)
    points = [ranked.Point(str(row), shares[k], low[k], high[k]) for k, row in enumerate(scores)]
    points.sort(key=lambda point: -point.x)
    return ranked.Chart(f"{title}: share of what is possible", "0: random, 1: ceiling", points)
