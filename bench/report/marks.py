"""Which methods of a column may be the best, by the differences of their means over the same images.

All pairs of a column are tested at once: what the largest |difference| / standard error over all pairs comes to by chance
alone is seen in resampled units, each resample with its own standard errors (bootstrap-t, max-T; Westfall & Young 1993,
Romano & Wolf 2005). So 5 % bounds the chance that any two methods of equal mean are told apart, however many rows there
are. The units are images or, where images come in classes, classes. Flipping signs instead is exact only for symmetric
differences: between methods of unlike skewness it errs three times as often as it may (docs/statistics.md).
"""

import functools
import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.report.intervals import FEW, units

LEVEL, POWER = 0.05, 0.80
DRAWS = 2000
RESAMPLED_AT_ONCE = 2_000_000  # values held in memory while resampling
RESAMPLED_KEPT = 20_000_000  # of one byte, for the next column
VANISHING = 1e-12  # a variance below this share of the squares is rounding
ROUNDING = 1e-9  # a difference of means below this share of the largest score is none


@dataclass(frozen=True)
class Marks:
    """Of one column with K rows. Differences are the first row's advantage: never negative, whatever the direction."""

    marked: bool  # False: too few units, nothing is told apart
    first: int  # the row of the best mean
    best: np.ndarray  # bool [K]: no other row is told to be better; all False if not marked
    difference: np.ndarray  # [K]
    low: np.ndarray  # [K]: simultaneous over all pairs if marked, of each difference alone if not
    high: np.ndarray  # [K]
    needed: np.ndarray  # [K]: images that would tell the row from the first, to two digits; NaN: told, or no difference


@dataclass(frozen=True)
class Pairs:
    """All differences of means of a column, a row's minus a column's, and how far their intervals reach. [K, K]."""

    told: bool  # enough units: the intervals hold for all pairs at once; False: each holds alone
    difference: np.ndarray
    reach: np.ndarray  # NaN of a single unit
    error: np.ndarray  # standard errors


def mark(scores: np.ndarray, sign: int, groups: np.ndarray | None = None, *, draws: int = DRAWS) -> Marks:
    """scores [n, K]: the same images in every row, no NaN.  sign: 1 if higher is better, -1.  groups [n]: classes."""
    of = pairs(sign * scores, groups, draws=draws)
    first = int((sign * scores).mean(axis=0).argmax())
    ahead, reach, error = of.difference[first], of.reach[first], of.error[first]
    best = ~(of.difference > of.reach).any(axis=0) & of.told
    needed = np.full(len(ahead), math.nan)
    if of.told:
        level = (ahead > 0) & (ahead <= reach)
        needed[level] = [
            images_needed(*of_pair, len(scores))
            for of_pair in zip(ahead[level], reach[level], error[level], strict=True)
        ]
    return Marks(of.told, first, best, ahead, ahead - reach, ahead + reach, needed)


def images_needed(difference: float, reach: float, error: float, n: int) -> int:
    """How many would tell two rows apart, to two digits, if n leave them this difference, reach and standard error."""
    return two_digits(n * ((reach + float(stats.norm.ppf(POWER)) * error) / difference) ** 2)


def pairs(scores: np.ndarray, groups: np.ndarray | None = None, *, draws: int = DRAWS) -> Pairs:
    """scores [n, K], groups [n]: as for `mark`."""
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(f"scores of shape {scores.shape}: expected finite numbers [images, methods].")
    mean = scores.mean(axis=0)
    total, size = units(scores, groups)
    off = total - size[:, None] * mean  # [G, K]: sums to 0
    difference = mean[:, None] - mean
    difference[np.abs(difference) <= ROUNDING * np.abs(scores).max()] = 0
    error = _errors(off, len(scores))
    told = len(size) >= FEW
    if told:
        critical = critical_value(off, draws)
    else:
        critical = stats.t.ppf(1 - LEVEL / 2, len(size) - 1) if len(size) > 1 else math.nan
    return Pairs(told, difference, critical * error, error)


def critical_value(off: np.ndarray, draws: int = DRAWS) -> float:
    """How large the largest |t| of all pairs becomes by chance, at 5 %. off [G, K]: the units' deviations from the mean.

    The draws depend on the number of units alone. 0 for a single row.
    """
    off = np.ascontiguousarray(off, dtype=float)
    asked = hashlib.blake2b(off.tobytes()).digest(), off.shape, draws
    if asked not in _critical_values:
        _critical_values[asked] = _critical_value(off, draws)
    return _critical_values[asked]


_critical_values: dict[tuple, float] = {}  # tables, pictures and the explorer of a report ask about the same columns


def _critical_value(off: np.ndarray, draws: int) -> float:
    count, k = off.shape
    i, j = np.triu_indices(k, 1)
    largest, start = np.zeros(draws), 0
    rounding = count * (ROUNDING * np.abs(off).max()) ** 2  # the variance of rows whose scores differ by that
    for times in _resamples(count, draws):
        total = times @ off  # [rows, K]
        rows = slice(start, start := start + len(times))
        for block in _blocks(len(i), max(1, RESAMPLED_AT_ONCE // count)):
            a, b = i[block], j[block]
            apart = total[:, a] - total[:, b]
            squares = times @ (off[:, a] - off[:, b]) ** 2
            variance = (squares - apart**2 / count) * count / (count - 1)
            known = variance > np.maximum(VANISHING * squares, rounding)  # not where one unit was drawn again and again
            t = np.where(known, np.abs(apart) / np.sqrt(np.where(known, variance, 1)), 0)
            largest[rows] = np.maximum(largest[rows], t.max(axis=1))
    return float(np.quantile(largest, 1 - LEVEL, method="higher"))


def _resamples(count: int, draws: int) -> Iterable[np.ndarray]:
    """How often each unit is drawn, [rows, count] in turn: the same for every column of so many units."""
    rows = max(1, RESAMPLED_AT_ONCE // count)
    if count * draws > RESAMPLED_KEPT:
        return _resampled(count, draws, rows)
    return (_resample_of(count, draws)[block].astype(float, copy=False) for block in _blocks(draws, rows))


@functools.lru_cache(maxsize=4)  # all images, those of low and of high confidence: a report's next column has as many
def _resample_of(count: int, draws: int) -> np.ndarray:
    rows = max(1, RESAMPLED_AT_ONCE // count)
    kept = np.uint8 if count * draws > RESAMPLED_AT_ONCE else float  # one unit drawn 256 times: 1 in 256!
    return np.concatenate([part.astype(kept) for part in _resampled(count, draws, rows)])


def _resampled(count: int, draws: int, most: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)  # noqa: TID251 (a fixed stream of its own; it belongs to no run)
    for part in _blocks(draws, most):
        rows = part.stop - part.start
        picked = random.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        yield np.bincount(picked.ravel(), minlength=rows * count).reshape(rows, count).astype(float)


def _blocks(length: int, most: int) -> Iterator[slice]:
    for start in range(0, length, most):
        yield slice(start, min(start + most, length))


def two_digits(count: float) -> int:
    """2918.3 -> 2900."""
    return int(round(count, 1 - math.floor(math.log10(count)))) if count >= 10 else math.ceil(count)


def _errors(off: np.ndarray, n: int) -> np.ndarray:
    """Standard errors of all differences of means, [K, K]."""
    count, k = off.shape
    if count < 2:
        return np.full((k, k), math.nan)
    squares = np.stack([((off[:, [j]] - off) ** 2).sum(axis=0) for j in range(k)])
    return np.sqrt(squares * count / (count - 1)) / n
