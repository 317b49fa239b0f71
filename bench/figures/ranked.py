"""Named points one below the other, the best on top: means with their intervals, or ranks with bars that join."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import style
from bench.figures.style import COLOURS, INK

ROW, FRAME = 0.185, 0.95  # inches: a row, what is above and below all of them
PLOT, LETTER = 2.9, 0.07  # inches: the least width of a plot, and of a letter of the names beside it
BAR = 0.04  # between two joining bars, in widths of the axes
GREY = "#7a838d"  # on white and on black


@dataclass(frozen=True)
class Point:
    """One row. standing: best, level (not told from the best) or nothing. printed: what a paper says of it."""

    name: str
    x: float
    low: float = np.nan
    high: float = np.nan
    standing: str = ""
    printed: float = np.nan
    own: bool = False  # the row that the others are compared with


@dataclass(frozen=True)
class Chart:
    """bars: the first and the last point of those that a bar joins."""

    title: str
    axis: str
    points: list[Point]  # the best first
    bars: tuple[tuple[int, int], ...] = ()

    @property
    def width(self) -> float:
        """Inches; a plot stays readable beside the longest name."""
        return PLOT + LETTER * max(20, *(len(point.name) for point in self.points))


def write(stem: Path, charts: list[Chart]) -> list[Path]:
    """<stem>.png and <stem>.pdf: the charts side by side."""
    with style.rc(stem.name):
        return style.save(drawn(charts), stem)


def drawn(charts: list[Chart]) -> Figure:
    """The charts side by side."""
    rows = max(len(chart.points) for chart in charts)
    widths = [chart.width for chart in charts]
    figure = Figure((sum(widths), FRAME + ROW * rows), dpi=style.DPI, layout="constrained")
    grid = figure.subplots(1, len(charts), squeeze=False, width_ratios=widths)
    for axes, chart in zip(grid[0], charts, strict=True):
        _draw(axes, chart, rows)
    return figure


def svg(name: str, chart: Chart) -> str:
    """An <svg> to stand in a page. name: of this picture alone on its page."""
    with style.rc(name):
        figure = Figure((chart.width, FRAME + ROW * len(chart.points)), layout="constrained")
        _draw(figure.subplots(), chart, len(chart.points))
        return style.svg(figure)


def _draw(axes: Axes, chart: Chart, rows: int) -> None:
    best, printed = COLOURS[0], COLOURS[1]
    y, x, low, high, said = np.array([(y, p.x, p.low, p.high, p.printed) for y, p in enumerate(chart.points)]).T
    colours = [best if point.standing else GREY for point in chart.points]
    faces = [
        "none" if point.standing == "level" else colour for point, colour in zip(chart.points, colours, strict=True)
    ]
    axes.hlines(y, low, high, colors=colours, linewidth=1.6)
    axes.scatter(x, y, s=25, c=faces, edgecolors=colours, linewidths=1.3, zorder=2)
    axes.scatter(said, y, s=25, marker="x", color=printed, linewidths=1.5, zorder=3)
    own = [k for k, point in enumerate(chart.points) if point.own]
    if own:
        axes.scatter(x[own], y[own], s=52, marker="D", color=COLOURS[2], linewidths=0, zorder=4)
    for place, (first, last) in enumerate(chart.bars):
        x, ends = 1 + BAR * (place + 0.7), [first - 0.18, last + 0.18]
        axes.plot([x, x], ends, color=INK, linewidth=2.4, transform=axes.get_yaxis_transform(), clip_on=False)
    axes.set_title(chart.title, fontsize=9.5, loc="left", fontweight="bold")
    axes.set_xlabel(chart.axis, fontsize=9)
    axes.set_yticks(range(len(chart.points)), [point.name for point in chart.points])
    for k in own:
        axes.get_yticklabels()[k].set(fontweight="bold", color=COLOURS[2])
    axes.set_ylim(rows - 0.4, -0.6)
    axes.tick_params(labelsize=8.5, length=3)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
