"""Insertion and deletion curves as a page carries them: means of each split, and those of single images."""

from collections.abc import Sequence

import pandas as pd

from bench.report import means
from bench.report.curves import SIDES, Curves
from bench.report.explorer.compact import letters, numbers, thinned

POINTS = 41  # of a mean curve, at most


def of_metric(curves: Sequence[Curves | None], images: Sequence[str]) -> dict | None:
    """None: no run has any.  curves: of each run.  images: shown singly."""
    there = [of for of in curves if of is not None]
    if not there:
        return None
    low, high = min(0.0, *(of.low for of in there)), max(of.high for of in there)
    points = len(thinned(min(_points(of) for of in there)))
    return {
        "range": [low, high],
        "points": points,
        "images": len(images),
        "means": {split: [_means(of, split) for of in curves] for split in means.CONFIDENCES},
        "single": [_single(of, images, points, low, high) for of in curves],
    }


def _points(of: Curves) -> int:
    return of.values[SIDES[0]].shape[-1]


def _means(of: Curves | None, split: str) -> list | None:
    """Of insertion and of deletion: x, mean, and how far the interval goes. None: no image."""
    if of is None or split not in of.means:
        return None
    found = []
    for line in (of.means[split][side] for side in SIDES):
        at = thinned(len(line.x), POINTS)
        found.append([numbers(v[at], 4) for v in (line.x, line.mean, line.mean - line.low)])
    return found


def _single(of: Curves | None, images: Sequence[str], points: int, low: float, high: float) -> list[str]:
    """All images' letters in a row; blank where there is no curve."""
    if of is None:
        return ["" for _ in SIDES]
    places = of.images.get_indexer(pd.Index(images))
    at, blank = thinned(_points(of), points), "  " * points
    found = []
    for values in (of.values[side] for side in SIDES):
        text = letters(values[places[places >= 0]][:, at], low, high)
        parts = iter(text[k : k + len(blank)] for k in range(0, len(text), len(blank)))
        found.append("".join(next(parts) if place >= 0 else blank for place in places))
    return found
