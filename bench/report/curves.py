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
from bench.store.rows import PARTITIONS, stacked_curves
from bench.text import natural

SIDES = ("insertion", "deletion")
SINGLE = 15_000  # pairs of curves of single images that a page holds, at most


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

    def __init__(
        self, results: Path, rows: pd.DataFrame, images: Mapping[str, pd.DataFrame], threshold: float, runs: int
    ):
        """rows: load_rows's.  images: means.by_image of them.  threshold: between low and high confidence.  runs: how many
        have curves; the more, the fewer images of a network (`most`) are kept one by one.
        """
        self.most = most = SINGLE // max(1, runs)
        self._results, self._images, self._threshold = results, images, threshold
        scored = rows[rows["status"] == "ok"].groupby(["data", "model"])["image_id"]
        self._kept = {of: sorted(part.unique(), key=natural)[:most] for of, part in scored}
        self.of = functools.cache(self._of)

    def _of(self, cell: tuple[str, str, str, str], run_id: str, sides: tuple[str, ...]) -> Curves | None:
        """cell: its PARTITIONS.  sides: those that its metric has."""
        images, values = stacked_curves(self._results, dict(zip(PARTITIONS, cell, strict=True)), run_id, sides)
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
