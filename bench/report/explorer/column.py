"""Where the rows of a column stand: average ranks, and every difference of two of them, over the images that they share."""

from collections.abc import Callable, Hashable, Mapping

import numpy as np
import pandas as pd

from bench.report import marks, significance
from bench.report.explorer.compact import numbers

Classes = Callable[[Hashable, pd.Index], np.ndarray | None]  # of these images of a row


def standings(scores: pd.DataFrame, under: Mapping, sign: int, classes_of: Classes) -> dict:
    """Of the largest group of comparable rows, as a page carries it; nothing where there are no two rows or images.

    scores: a column per row, by image, NaN where it has none.  under: {row: its conditions}.

    of: its rows. n: images. rank: average ranks. apart: for each pair of rows (0 1, 0 2, … 1 2, …) 1 if their average ranks
    are told apart. difference, reach: of the same pairs, the first mean minus the second, and how far its interval goes;
    told: at once for all pairs (marks.py), else each alone.
    """
    group = max(significance.comparable(scores, under), key=len, default=[])
    shared = scores[group].dropna()
    if not sign or len(group) < 2 or len(shared) < 2:
        return {}
    classes = classes_of(group[0], shared.index)
    of = marks.pairs(sign * shared.to_numpy(dtype=float), classes)
    ranks = shared.rank(axis=1, ascending=sign < 0)
    order = list(ranks.mean().sort_values(kind="stable").index)
    of_ranks = marks.pairs(ranks[order].to_numpy(), classes)
    apart = of_ranks.told & (np.abs(of_ranks.difference) > of_ranks.reach)
    place = np.array([order.index(row) for row in group])
    i, j = np.triu_indices(len(group), 1)
    return {
        "of": [list(scores).index(row) for row in group],
        "n": len(shared),
        "rank": numbers(ranks.mean()),
        "apart": "".join("01"[told] for told in apart[place[i], place[j]].astype(int)),
        "difference": numbers(sign * of.difference[i, j], 4),
        "reach": numbers(of.reach[i, j], 4),
        "told": of.told,
    }
