"""How like each other several rankings are: a square of numbers from -1 to 1, dark where they agree."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from bench.figures import style
from bench.figures.style import COLOURS, INK

CELL, FRAME = 0.36, 1.6  # inches: a number, and what the names take
DARK = 0.6  # from here on numbers are white
SHADES = LinearSegmentedColormap.from_list("agreement", [COLOURS[1], "#ffffff", COLOURS[0]])  # orange, white, blue


@dataclass(frozen=True)
class Square:
    """values: [n, n], NaN where there is none."""

    title: str
    names: list[str]
    values: np.ndarray


def write(stem: Path, squares: list[Square]) -> list[Path]:
    """<stem>.png and <stem>.pdf: the squares side by side."""
    side = FRAME + CELL * max(len(square.names) for square in squares)
    with style.rc(stem.name):
        figure = Figure((side * len(squares), side + 0.3), dpi=style.DPI, layout="constrained")
        for axes, square in zip(figure.subplots(1, len(squares), squeeze=False)[0], squares, strict=True):
            _draw(axes, square)
        return style.save(figure, stem)


def _draw(axes: Axes, square: Square) -> None:
    n = len(square.names)
    axes.imshow(square.values, cmap=SHADES, vmin=-1, vmax=1)
    for i in range(n):
        for j in range(n):
            value = square.values[i, j]
            if np.isfinite(value):
                colour = "#ffffff" if abs(value) > DARK else INK
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=colour)
    axes.set_title(square.title, fontsize=9.5, loc="left", fontweight="bold")
    axes.set_xticks(range(n), square.names, rotation=90)
    axes.set_yticks(range(n), square.names)
    axes.tick_params(labelsize=8, length=0)
    axes.spines[:].set_visible(False)
