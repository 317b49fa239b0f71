"""A table in colours: rows by columns, a number in each cell, dark where it is good, and words beside the rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from bench.figures import style

CELL = (0.46, 0.2)  # inches
LETTER, HEAD, FRAME = 0.066, 0.05, 0.45  # inches: of a row's name, of a slanted column's, around all of it
WORDS = 0.62  # inches, of a column of words
MAP = colormaps["cividis"]  # for every colour vision
DARK, LIGHT = "#10151b", "#ffffff"  # on a cell's colour, which is the same on every page


@dataclass(frozen=True)
class Matrix:
    """values: [R, C], 1 the best; NaN: none. bold: [R, C]. beside: words, {heading: one a row}."""

    title: str
    rows: list[str]
    columns: list[str]
    values: np.ndarray
    bold: np.ndarray
    beside: dict[str, list[str]]


def write(stem: Path, matrix: Matrix) -> list[Path]:
    """<stem>.png and <stem>.pdf."""
    with style.rc(stem.name):
        return style.save(_drawn(matrix), stem)


def svg(name: str, matrix: Matrix) -> str:
    """An <svg> to stand in a page. name: of this picture alone on its page."""
    with style.rc(name):
        return style.svg(_drawn(matrix))


def _drawn(matrix: Matrix) -> Figure:
    n, k = matrix.values.shape
    left, above = (
        LETTER * max(map(len, matrix.rows)) + 0.2,
        HEAD * max(map(len, [*matrix.columns, *matrix.beside])) + 0.35,
    )
    width = left + CELL[0] * k + WORDS * len(matrix.beside) + FRAME
    height = above + CELL[1] * n + 0.15
    figure = Figure((width, height), dpi=style.DPI)
    axes = figure.add_axes((left / width, 0.15 / height, CELL[0] * k / width, CELL[1] * n / height))
    shades = 1 - (matrix.values - 1) / max(1, n - 1)  # 1 the best
    axes.pcolormesh(np.ma.masked_invalid(1 - shades), cmap=MAP, vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
    for row, column in zip(*np.nonzero(~np.isnan(matrix.values)), strict=True):
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{matrix.values[row, column]:g}",
            ha="center",
            va="center",
            fontsize=7,
            color=LIGHT if shades[row, column] > 0.45 else DARK,
            fontweight="bold" if matrix.bold[row, column] else "normal",
        )
    headings = [(column + 0.3, name) for column, name in enumerate(matrix.columns)]
    for place, (heading, words) in enumerate(matrix.beside.items()):
        x = k + (place + 0.9) * WORDS / CELL[0]
        headings.append((x - 0.4, heading))
        for row, word in enumerate(words):
            axes.text(x, row + 0.5, word, ha="right", va="center", fontsize=7)
    for x, name in headings:
        axes.text(x, -0.3, name, rotation=45, rotation_mode="anchor", ha="left", va="bottom", fontsize=7.5)
    figure.text(0.1 / width, 1 - 0.08 / height, matrix.title, va="top", fontsize=9.5, fontweight="bold")
    axes.set_ylim(n, 0)
    axes.set_yticks(np.arange(n) + 0.5, matrix.rows, fontsize=7.5)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
