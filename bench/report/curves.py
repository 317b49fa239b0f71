"""The curves of a report's runs. Each run's are read once, and what a report shows of them is kept: of a million rows they
would fill the memory.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.figures.lines import Line, mean_curve
from bench.report import means
from bench.store.rows import stacked_curves
from bench.text import natural

SIDES = ("insertion", "deletion")


@dataclass(frozen=True)
class Curves:
    """Of one run, {side: …} each."""

    means: Mapping[str, Mapping[str, Line]]  # {split: …}, of those that have images
    low: float  # of all images and points
    high: float
    images: pd.Index  # those that are kept one by one
    values: Mapping[str, np.ndarray]  # [images, S]


class RunCurves:
    """`of(cell, run_id, sides)`: a run's, None if its metric has none or they were not kept."""

    def __init__(self, results: Path, rows: pd.DataFrame, threshold: float, most: int):
        """rows: load_rows's.  threshold: between low and high confidence.  most: images of a network, kept one by one."""
        scored = rows[rows["status"] == "ok"]
        self.most, self._results, self._threshold = most, results, threshold
        self._images = means.by_image(rows)
        self._kept = {
            of: sorted(part.unique(), key=natural)[:most] for of, part in scored.groupby(["data", "model"])["image_id"]
        }
        self.of = functools.cache(self._of)

    def _of(self, cell: tuple[str, str, str, str], run_id: str, sides: tuple[str, ...]) -> Curves | None:
        """cell: data, model, method, metric.  sides: those that its metric has."""
        named = dict(zip(("data", "model", "method", "metric"), cell, strict=True))
        images, values = stacked_curves(self._results, named, run_id, sides)
        if not len(images) or run_id not in self._images:
            return None
        values = {side: of_side.astype(float) for side, of_side in values.items()}
        confidences = self._images[run_id]["confidence"].reindex(images)
        drawn = {}
        for split in means.CONFIDENCES:
            inside = means.inside(confidences, split, self._threshold)
            chosen = slice(None) if inside is None else inside.to_numpy()
            if inside is None or chosen.any():
                drawn[split] = {side: mean_curve("", of_side[chosen]) for side, of_side in values.items()}
        kept = images.isin(self._kept[cell[:2]])
        return Curves(
            drawn,
            min(float(of_side.min()) for of_side in values.values()),
            max(float(of_side.max()) for of_side in values.values()),
            images[kept],
            {side: of_side[kept] for side, of_side in values.items()},
        )
