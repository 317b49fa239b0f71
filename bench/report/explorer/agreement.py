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
    images = pd.Index([])
    for table in scores.values():
        images = images if images.equals(table.index) else images.union(table.index, sort=False)
    methods = list(dict.fromkeys(method for table in scores.values() for method in table.columns))
    known = [table.reindex(index=images, columns=methods).to_numpy(dtype=float) for table in scores.values()]
    found = []
    for i, j in combinations(range(len(known)), 2):
        both = np.isfinite(known[i]).any(axis=0) & np.isfinite(known[j]).any(axis=0)
        first, second = known[i][:, both], known[j][:, both]
        whole = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
        if both.sum() >= FEWEST and whole.any():
            tau = float(tau_b(first[whole].mean(axis=0), second[whole].mean(axis=0)))
            if not np.isnan(tau):
                found.append([i, j, *numbers([tau], 3), int(both.sum()), int(whole.sum())])
    return found
