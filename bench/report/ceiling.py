"""How much of what is possible: (score - random) / (ceiling - random), where a column has both controls.

0: no better than chance; 1: as good as a greedy search for the best order on patches (methods/ceiling.py), no bound.
Of means, over the images that a row and both controls share; scores may be better when high or when low. There is none where
the search is no better than chance by this score: it looks for the largest insertion or GAP, and may have a poor deletion.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench.report import intervals, means
from bench.report.quantities import SPEED
from bench.report.significance import COLUMN
from bench.store import records

CHANCE, CEILING = "random", "ceiling"
NONE = (np.nan, np.nan, np.nan)


def shares(
    numbers: pd.DataFrame, rows: pd.DataFrame, runs: Mapping[str, dict], threshold: float, draws: int
) -> pd.DataFrame:
    """`numbers` with columns share, share_low, share_high: NaN where no controls were made under the row's conditions.

    numbers: means.measure's, with row. rows: load_rows's. runs: their records.
    """
    conditions = records.conditions_of(numbers["run_id"], runs)
    images, found = means.by_image(rows), pd.Series([NONE] * len(numbers), index=numbers.index)
    for (*_, confidence, quantity), part in numbers.groupby([*COLUMN, "quantity"], sort=False):
        kind, measured = part["kind"].iloc[0], part[part["n"] > 0]
        if quantity == SPEED or not kind.sign or not {CHANCE, CEILING} <= {*measured["row"]}:
            continue
        table = means.side_by_side(images, measured["run_id"], quantity, kind, confidence, threshold)
        scores = dict(zip(table, table.to_numpy(dtype=float).T, strict=True))
        classes: dict[bytes, np.ndarray | None] = {}  # of images that several rows share
        under = {k: conditions[run] for k, run in measured["run_id"].items()}
        for k, run in measured["run_id"].items():
            control = {row: j for j, row in reversed([*measured["row"].items()]) if under[j] == under[k]}
            if {CHANCE, CEILING} <= control.keys():
                three = np.stack([scores[i] for i in (k, control[CHANCE], control[CEILING])], axis=1)
                whole = ~np.isnan(three).any(axis=1)
                if (key := whole.tobytes()) not in classes:
                    classes[key] = means.classes_of(images[run], table.index[whole])
                found[k] = share(three[whole], kind.sign, classes[key], draws)
    columns = pd.DataFrame([*found], index=numbers.index, columns=["share", "share_low", "share_high"])
    return pd.concat([numbers, columns], axis=1)


def share(scores: np.ndarray, sign: int, classes: np.ndarray | None, draws: int) -> tuple[float, float, float]:
    """Of scores [n, 3], a row's, by chance, the ceiling's; and its 95 % interval, from 15 units on (percentile bootstrap).

    sign: 1 if higher is better, -1.  NaN where the ceiling is not above chance; no interval where it is not in a resample.
    """
    if not len(scores):
        return NONE
    low = high = np.nan
    if len(intervals.units(scores, classes)[1]) >= intervals.FEW:
        low, high = np.percentile(_of(intervals.resampled(scores, classes, draws=draws), sign), [2.5, 97.5])
    return float(_of(scores.mean(axis=0), sign)), low, high


def _of(means: np.ndarray, sign: int) -> np.ndarray:
    """[..., 3] -> [...]."""
    score, chance, ceiling = np.moveaxis(means, -1, 0)
    room = ceiling - chance
    return np.divide(score - chance, room, out=np.full_like(room, np.nan), where=sign * room > 0)
