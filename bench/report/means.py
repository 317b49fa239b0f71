"""Rows to numbers: means over images, their bootstrap intervals, the confidence split."""

import math

import numpy as np
import pandas as pd

PAIR = ("insertion", "deletion", "gap")
SIGN = {"insertion": 1, "deletion": -1, "gap": 1, "fps": 1}  # 1: higher is better; -1: lower is
SCORE_SIGN = {"infidelity": -1, "localisation": 1, "pointing": 1}  # of metrics with one score
CONFIDENCES = ("all", "low", "high")
RESAMPLED_AT_ONCE = 2_000_000  # values held in memory while resampling


def quantities(rows: pd.DataFrame) -> tuple[str, ...]:
    """What a metric's rows hold: one score, or insertion, deletion and their gap."""
    return ("score",) if rows["score"].notna().any() else PAIR


def sign(metric: str, quantity: str) -> int | None:
    """1: higher is better; -1: lower is; None: nobody says."""
    return SCORE_SIGN.get(metric) if quantity == "score" else SIGN[quantity]


def measure(rows: pd.DataFrame, cells: pd.DataFrame, threshold: float, draws: int) -> pd.DataFrame:
    """One line per cell, confidence and quantity: mean, ci_low, ci_high, n, failed.

    cells: columns data, model, method, metric, run_id (null: not run) and quantities (a tuple of names).
    """
    lines, by_run = [], dict(list(rows.groupby("run_id")))
    for cell in cells.to_dict("records"):
        part = by_run.get(cell["run_id"], rows[:0])
        wanted = cell.pop("quantities")
        for confidence in CONFIDENCES:
            for numbers in _summary(split(part, confidence, threshold), wanted, draws):
                lines.append(cell | {"confidence": confidence} | numbers)
    return pd.DataFrame(lines)


def interval(values: np.ndarray, draws: int) -> np.ndarray:
    """95 % bootstrap percentile interval of a mean over images. values [n, Q] -> [2, Q]; NaN if n < 2.

    The resampling depends on n alone, so columns, and methods with the same images, are resampled together.
    """
    if len(values) < 2:
        return np.full((2, values.shape[1]), np.nan)
    return np.percentile(resampled(values, draws), [2.5, 97.5], axis=0)


def resampled(values: np.ndarray, draws: int) -> np.ndarray:
    """Means over images drawn with replacement. values [n, Q] -> [draws, Q]."""
    n, columns = values.shape
    random = np.random.default_rng(0)  # noqa: TID251 (a fixed stream of its own; it belongs to no run)
    means, chunk = np.empty((draws, columns)), max(1, RESAMPLED_AT_ONCE // n)
    for start in range(0, draws, chunk):
        picked = random.integers(n, size=(min(chunk, draws - start), n), dtype=np.int32)
        for column in range(columns):
            means[start : start + chunk, column] = values[:, column].take(picked).mean(axis=1)
    return means


def by_image(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """{run_id: its scored images, by id, with their gaps}."""
    ok = rows[rows["status"] == "ok"].assign(gap=rows["insertion"] - rows["deletion"])
    return {run_id: part.set_index("image_id") for run_id, part in ok.groupby("run_id")}


def split(rows: pd.DataFrame, confidence: str, threshold: float) -> pd.DataFrame:
    """low: below the threshold; high: at it or above. An image that failed before it was classified is only in all."""
    if confidence == "all":
        return rows
    return rows[rows["confidence"] < threshold] if confidence == "low" else rows[rows["confidence"] >= threshold]


def _summary(rows: pd.DataFrame, wanted: tuple[str, ...], draws: int) -> list[dict]:
    """One dict per quantity; failed images are counted, not averaged."""
    ok = rows[rows["status"] == "ok"].sort_values("image_id")
    ok = ok.assign(gap=ok["insertion"] - ok["deletion"], fps=ok["seconds_attribution"])
    values = ok[list(wanted)].to_numpy(dtype=float)  # [n, Q]
    low, high = interval(values, draws)
    means = values.mean(axis=0) if len(values) else np.full(len(wanted), np.nan)
    counts = {"n": len(ok), "failed": len(rows) - len(ok)}
    lines = []
    for name, mean, a, b in zip(wanted, means, low, high, strict=True):
        if name == "fps":  # of the mean seconds; the images of a batch share theirs, so no interval is known
            mean, a, b = 1 / mean, math.nan, math.nan
        lines.append({"quantity": name, "mean": mean, "ci_low": a, "ci_high": b, **counts})
    return lines
