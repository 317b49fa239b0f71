"""Insertion and deletion curves as a page carries them: means of each split, and those of single images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.figures.lines import mean_curve
from bench.report.explorer.compact import letters, numbers, thinned

SIDES = ("insertion", "deletion")
POINTS = 41  # of a mean curve, at most


@dataclass(frozen=True)
class Curves:
    """Of one run. values [2, n, S]: insertion and deletion of each image."""

    images: pd.Index
    values: np.ndarray

    @classmethod
    def of(cls, images: pd.Index, sides: Mapping[str, np.ndarray]) -> "Curves | None":
        """stacked_curves's. None: the metric has none, or they were not kept."""
        return cls(images, np.stack([sides[side] for side in SIDES]).astype(float)) if len(images) else None

    def places(self, images: pd.Index) -> np.ndarray:
        """[images]: where each is; -1: nowhere."""
        return np.arange(len(images)) if images.equals(self.images) else self.images.get_indexer(images)


def of_metric(
    curves: Sequence[Curves | None], inside: Mapping[str, Sequence[pd.Index]], images: Sequence[str]
) -> dict | None:
    """None: no run has any.  curves: of each run.  inside: of each split, the images of each run.  images: shown singly."""
    there = [of.values for of in curves if of is not None]
    if not there:
        return None
    low, high = min(0.0, *(values.min() for values in there)), max(values.max() for values in there)
    points = len(thinned(min(values.shape[-1] for values in there)))
    means = {split: [_means(*pair) for pair in zip(curves, kept, strict=True)] for split, kept in inside.items()}
    return {
        "range": [float(low), float(high)],
        "points": points,
        "images": len(images),
        "means": means,
        "single": [_single(of, images, points, low, high) for of in curves],
    }


def _means(of: Curves | None, kept: pd.Index) -> list | None:
    """Of insertion and of deletion: x, mean, and how far the interval goes. None: no image."""
    places = of.places(kept) if of else np.empty(0, dtype=int)
    chosen = np.sort(places[places >= 0])
    if not len(chosen):
        return None
    found = []
    for values in of.values:
        line = mean_curve("", values[chosen])
        at = thinned(len(line.x), POINTS)
        found.append([numbers(v[at], 4) for v in (line.x, line.mean, line.mean - line.low)])
    return found


def _single(of: Curves | None, images: Sequence[str], points: int, low: float, high: float) -> list[str]:
    """All images' letters in a row; blank where there is no curve."""
    if of is None:
        return ["" for _ in SIDES]
    places = of.places(pd.Index(images))
    at, blank = thinned(of.values.shape[-1], points), "  " * points
    found = []
    for values in of.values:
        text = letters(values[places[places >= 0]][:, at], low, high)
        parts = iter(text[k : k + len(blank)] for k in range(0, len(text), len(blank)))
        found.append("".join(next(parts) if place >= 0 else blank for place in places))
    return found
