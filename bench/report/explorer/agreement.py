"""How far two rankings of the same methods agree: Kendall's tau-b of their means, over methods and images that both have."""

from collections.abc import Hashable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from bench.report.explorer.compact import numbers
from bench.report.significance import tau_b

FEWEST = 3  # methods


def pairs(scores: Mapping[Hashable, pd.DataFrame]) -> list[list]:
    """[i, j, tau, methods, images] for each two of the scores that can be compared, by their places.

    scores: [image, method] each, the higher the better, NaN where there is none.
    """
    found, known = [], list(scores.values())
    for i, j in combinations(range(len(known)), 2):
        tau, methods, images = _agreement(known[i], known[j])
        if methods >= FEWEST and images and not np.isnan(tau):
            found.append([i, j, *numbers([tau], 3), methods, images])
    return found


def _agreement(a: pd.DataFrame, b: pd.DataFrame) -> tuple[float, int, int]:
    methods, images = a.columns.intersection(b.columns), a.index.intersection(b.index)
    first, second = (scores.loc[images, methods].to_numpy(dtype=float) for scores in (a, b))
    whole = ~(np.isnan(first).any(axis=1) | np.isnan(second).any(axis=1))
    if len(methods) < FEWEST or not whole.any():
        return float("nan"), len(methods), int(whole.sum())
    means = first[whole].mean(axis=0), second[whole].mean(axis=0)
    return float(tau_b(*means)), len(methods), int(whole.sum())
