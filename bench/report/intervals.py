"""How sure a mean over images is: its 95 % interval; and median and quartiles, which a few images cannot carry away.

The units that are resampled are images, or, where images come in classes, whole classes: two pictures of a school bus
say less than two pictures. From 15 units on: percentile bootstrap. Below, it is far too narrow, and Student's t stands in
(docs/statistics.md has the measured coverage of both, and of BCa, which is no better there).
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy import stats

FEW = 15  # units below which the bootstrap gives way to t, and nothing is marked
LEVEL = 0.95
RESAMPLED_AT_ONCE = 2_000_000  # values held in memory while resampling
TOGETHER = 200  # samples that are resampled at once


def interval(values: np.ndarray, groups: np.ndarray | None = None, *, draws: int, level: float = LEVEL) -> np.ndarray:
    """Of the mean over images. values [n, Q] -> [2, Q]; NaN where there are fewer than two units.

    groups [n]: the class of each image; None: each image is a class of its own.
    """
    total, size = units(values, groups)
    if len(size) < 2:
        return np.full((2, values.shape[1]), np.nan)
    tail = (1 - level) / 2
    if len(size) >= FEW:
        return np.percentile(_resampled(total, size, draws), [100 * tail, 100 * (1 - tail)], axis=0)
    reach = stats.t.ppf(1 - tail, len(size) - 1) * standard_error(values, groups)
    mean = values.mean(axis=0)
    return np.stack([mean - reach, mean + reach])


def together(
    samples: Sequence[tuple[np.ndarray, np.ndarray | None]], *, draws: int, level: float = LEVEL
) -> list[np.ndarray]:
    """`interval` of each (values, groups). What has the same units is resampled together, as it is alone."""
    alike = defaultdict(list)
    for k, (values, groups) in enumerate(samples):
        alike[len(values), None if groups is None else np.asarray(groups).tobytes()].append(k)
    found: list[np.ndarray] = [np.empty(0)] * len(samples)
    for members in alike.values():
        for start in range(0, len(members), TOGETHER):
            part = members[start : start + TOGETHER]
            values = np.hstack([samples[k][0] for k in part])
            ends = np.cumsum([samples[k][0].shape[1] for k in part])[:-1]
            of_part = interval(values, samples[part[0]][1], draws=draws, level=level)
            for k, low_high in zip(part, np.split(of_part, ends, axis=1), strict=True):
                found[k] = low_high
    return found


def standard_error(values: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Of the mean, from how the units' sums scatter around what the overall mean foretells. [n, Q] -> [Q].

    s / sqrt(n) where every image is a unit. NaN where there are fewer than two units.
    """
    total, size = units(values, groups)
    if len(size) < 2:
        return np.full(values.shape[1], np.nan)
    off = total - size[:, None] * values.mean(axis=0)
    return np.sqrt((off**2).sum(axis=0) * len(size) / (len(size) - 1)) / len(values)


def resampled(values: np.ndarray, groups: np.ndarray | None = None, *, draws: int) -> np.ndarray:
    """Means over units drawn with replacement. [n, Q] -> [draws, Q].

    The draws depend on the number of units alone: methods over the same images are resampled together.
    """
    return _resampled(*units(values, groups), draws)


def quartiles(values: np.ndarray) -> np.ndarray:
    """Lower quartile, median, upper quartile. [n, Q] -> [3, Q]; NaN without images."""
    return np.percentile(values, [25, 50, 75], axis=0) if len(values) else np.full((3, values.shape[1]), np.nan)


def units(values: np.ndarray, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The sum of each unit's images [G, Q], and how many they are [G]. values [n, Q], groups [n]."""
    if groups is None:
        return values, np.ones(len(values))
    if len(groups) != len(values):
        raise ValueError(f"{len(groups)} classes of {len(values)} images: expected one an image.")
    _, unit, size = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    total = np.zeros((len(size), values.shape[1]))
    np.add.at(total, unit, values)
    return total, size.astype(float)


def _resampled(total: np.ndarray, size: np.ndarray, draws: int) -> np.ndarray:
    """total [G, Q], size [G] -> [draws, Q]."""
    n, columns = total.shape
    clustered = bool((size != 1).any())
    random = np.random.default_rng(0)  # noqa: TID251 (a fixed stream of its own; it belongs to no run)
    means, chunk = np.empty((draws, columns)), max(1, RESAMPLED_AT_ONCE // n)
    for start in range(0, draws, chunk):
        rows = min(chunk, draws - start)
        picked = random.integers(n, size=(rows, n), dtype=np.int32)
        places = (picked + n * np.arange(rows)[:, None]).ravel()
        times = np.bincount(places, minlength=rows * n).reshape(rows, n).astype(float)  # that each unit was drawn
        images = times @ size if clustered else np.full(rows, float(n))
        means[start : start + rows] = times @ total / images[:, None]
    return means
