"""Which rows of a column are told apart by the images, and how like the published ranking the measured one is.

Paired over the same images throughout: the difference of two methods on an image is what is tested.
"""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd

from bench import tables

LEVEL, POWER = 0.05, 0.80
COLUMN = ["data", "model", "metric", "confidence"]  # of a table; with a quantity, one column of it
SHOWN = {"score": "score", "insertion": "insertion", "deletion": "deletion", "gap": "GAP"}


def signed_rank(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, normal approximation: zeros left out, tied ranks averaged.

    Agrees with scipy.stats.wilcoxon(method="asymptotic"). 1 if no difference is left.
    """
    d = differences[differences != 0]
    if not len(d):
        return 1.0
    _, place, ties = np.unique(np.abs(d), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[place]
    n, w = len(d), ranks[d > 0].sum()
    variance = n * (n + 1) * (2 * n + 1) / 24 - (ties**3 - ties).sum() / 48
    return math.erfc(abs(w - n * (n + 1) / 4) / math.sqrt(2 * variance))


def holm(p: list[float]) -> list[float]:
    """Holm's adjustment (1979): p of each of several tests, so that 0.05 bounds the chance of any error among them."""
    adjusted, largest = [0.0] * len(p), 0.0
    for k, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = adjusted[i] = max(largest, min(1.0, (len(p) - k) * p[i]))
    return adjusted


def images_needed(differences: np.ndarray) -> int | None:
    """So many images separate two methods that differ as here: two-sided 5 %, power 0.8. None if they do not differ."""
    if len(differences) < 2 or (mean := differences.mean()) == 0:
        return None
    z = NormalDist().inv_cdf(1 - LEVEL / 2) + NormalDist().inv_cdf(POWER)
    return max(2, math.ceil((z * differences.std(ddof=1) / mean) ** 2))


def tau_b(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of rankings a [..., M] and b [M], with ties; NaN where one of them has nothing but ties."""
    i, j = np.triu_indices(len(b), k=1)
    s, t = np.sign(a[..., i] - a[..., j]), np.sign(b[i] - b[j])
    with np.errstate(invalid="ignore"):
        return (s * t).sum(axis=-1) / np.sqrt((s != 0).sum(axis=-1) * (t != 0).sum())


def compare(numbers: pd.DataFrame, rows: pd.DataFrame, threshold: float, draws: int) -> tuple[pd.DataFrame, dict]:
    """`numbers` with a column `standing`, and {(data, model, metric, confidence): the lines under that table}.

    standing: best; level, where the test does not tell a row from the best; else empty. numbers: tables.measure's, with
    row and published. rows: tables.load_rows's.
    """
    standings, footers = pd.Series("", index=numbers.index), {}
    images = tables.by_image(rows)
    for (*column, quantity), part in numbers.groupby([*COLUMN, "quantity"], sort=False):
        measured = part[part["n"] > 0]
        sign = tables.sign(column[2], quantity)
        if sign is None or len(measured) < 2:
            continue
        best = measured.index[(sign * measured["mean"]).argmax()]
        standings[measured.index[measured["mean"] == measured["mean"][best]]] = "best"
        if quantity == "fps":  # seconds are the machine's, not a sample over images
            continue
        scores = pd.DataFrame({
            k: tables.split(images[run], column[3], threshold)[quantity] for k, run in measured["run_id"].items()
        })  # fmt: skip
        others = [k for k in measured.index if standings[k] == ""]
        gaps = {k: (scores[best] - scores[k]).dropna().to_numpy() for k in others}
        for k, p in zip(others, holm([signed_rank(gaps[k]) for k in others]), strict=True):
            standings[k] = "level" if p > LEVEL else ""
        lines = footers.setdefault(tuple(column), [])
        lines += _ranking(measured, scores, quantity, draws)
        second = max(others, key=lambda k: sign * measured["mean"][k], default=None)
        n = images_needed(gaps[second]) if second is not None and standings[second] == "level" else None
        if n and n > len(gaps[second]):
            a, b = measured["row"][best], measured["row"][second]
            lines.append(f"To tell {a} from {b} by {SHOWN[quantity]}: about {n:,} images; here {len(gaps[second]):,}.")
    return numbers.assign(standing=standings), footers


def _ranking(measured: pd.DataFrame, scores: pd.DataFrame, quantity: str, draws: int) -> list[str]:
    """The line that sets the measured ranking beside the published one, if there are three rows of both."""
    both = measured.index[measured["published"].notna()]
    values = scores[both].dropna().to_numpy()
    if len(both) < 3 or not len(values):
        return []
    published = measured.loc[both, "published"].astype(float).to_numpy()
    tau = tau_b(values.mean(axis=0), published)
    if np.isnan(tau):
        return []
    interval = ""
    if len(values) > 1:
        low, high = np.nanpercentile(tau_b(tables.resampled(values, draws), published), [2.5, 97.5])
        interval = f" [{low:.2f}, {high:.2f}]"
    return [f"Kendall's τ-b of measured and published {SHOWN[quantity]}, {len(both)} rows: {tau:.2f}{interval}."]
