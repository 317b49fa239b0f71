"""Insertion and deletion curves as a page carries them: means of each split, and those of single images."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.figures.lines import mean_curve
from bench.report.explorer.compact import letters, numbers, thinned

SIDES = ("insertion", "deletion")
POINTS = 41  # of a mean curve, at most


@dataclass(frozen=True)
class Curves:
    """Of one run. values [2, n, S]: insertion and deletion of each image."""

    images: Sequence[str]
    values: np.ndarray

    @classmethod
    def of(cls, pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> "Curves | None":
        """pairs: load_curves's. None: the metric has none, or they were not kept."""
        there = {image: pair for image, pair in pairs.items() if all(np.size(curve) > 1 for curve in pair)}
        sides = [np.stack([pair[side] for pair in there.values()]) for side in range(len(SIDES)) if there]
        return cls(list(there), np.stack(sides).astype(float)) if there else None


def of_metric(
    curves: Sequence[Curves | None], inside: Mapping[str, Sequence[Collection[str]]], images: Sequence[str]
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


def _means(of: Curves | None, kept: Collection[str]) -> list | None:
    """Of insertion and of deletion: x, mean, and how far the interval goes. None: no image."""
    kept = set(kept)
    chosen = [k for k, image in enumerate(of.images) if image in kept] if of else []
    if not chosen:
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
    place = {image: k for k, image in enumerate(of.images)}
    at, blank = thinned(of.values.shape[-1], points), "  " * points
    known = np.array([place[image] for image in images if image in place], dtype=int)
    found = []
    for side in of.values:
        text = letters(side[known][:, at], low, high)
        parts = iter(text[k : k + len(blank)] for k in range(0, len(text), len(blank)))
        found.append("".join(next(parts) if image in place else blank for image in images))
    return found
