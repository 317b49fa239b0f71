"""Numbers and curves as a page carries them: short, and no shorter than what is shown of them."""

import math
import string
from collections.abc import Iterable

import numpy as np

ALPHABET = (
    string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
)  # 64 letters, none with a meaning in JSON
LETTERS = np.frombuffer(ALPHABET.encode(), np.uint8)
LEVELS = len(LETTERS) ** 2  # of a point of a curve
POINTS = 25  # of one image's curve, at most


def numbers(values: Iterable, digits: int = 6) -> list:
    """Rounded to so many digits; None of what is not known. 6: as the CSV has them."""
    known = np.asarray(values, dtype=float).tolist()
    return [None if math.isnan(value) else _short(float(f"{value:.{digits}g}")) for value in known]


def thinned(count: int, most: int = POINTS) -> np.ndarray:
    """Which points of so many are kept: evenly, with both ends."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def letters(values: np.ndarray, low: float, high: float) -> str:
    """[..., S] between low and high, two letters a point, one curve after the other."""
    scale = (LEVELS - 1) / (high - low) if high > low else 0.0
    levels = ((values - low) * scale).round().astype(int).clip(0, LEVELS - 1)
    return LETTERS[np.stack(np.divmod(levels, len(LETTERS)), axis=-1)].tobytes().decode()


def _short(value: float) -> float | int:
    """3 rather than 3.0."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value
