"""Rows of small pictures with a line of text above each: photographs and heatmaps, PNG and PDF for a paper."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.figures.style import FOR_PAPER, save

INCHES = 1.15  # side of a picture
LETTERS = 19  # of the caption, an inch
DPI = 170
FRAME = "#56b4e9"  # Okabe and Ito's sky blue: on photographs and on the maps' black, red and yellow alike


@dataclass(frozen=True)
class Tile:
    """One picture. frame: left, top, width, height in pixels of a rectangle drawn on it."""

    picture: np.ndarray  # [H, W, 3], in [0, 1]
    title: str
    frame: tuple[int, int, int, int] | None = None


def write(stem: Path, rows: list[list[Tile]], caption: str) -> list[Path]:
    """<stem>.png and <stem>.pdf. All rows are equally long."""
    width = INCHES * len(rows[0]) + 0.2
    text = textwrap.fill(caption, int(width * LETTERS))
    with rc_context(FOR_PAPER):
        height = 1.17 * INCHES * len(rows) + 0.13 * (text.count("\n") + 2)
        figure = Figure((width, height), dpi=DPI, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
        axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
        for place, tile in zip(axes.flat, (tile for row in rows for tile in row), strict=True):
            _tile(place, tile)
        figure.supxlabel(text, fontsize=6.5, x=0.01, ha="left")
        return save(figure, stem)


def _tile(axes: Axes, tile: Tile) -> None:
    axes.imshow(tile.picture.clip(0, 1), interpolation="nearest")
    axes.set_title(tile.title, fontsize=6.5, pad=2)
    axes.set_axis_off()
    if tile.frame:
        left, top, width, height = tile.frame
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=FRAME, linewidth=1.2))
