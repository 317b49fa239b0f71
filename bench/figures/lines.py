"""Line plots: mean insertion and deletion curves, and ablations. PNG and PDF for a paper, SVG for the page."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import style
from bench.figures.style import COLOURS, INK

DASHES = ((), (5, 1.5), (1, 1.2), (6, 1.5, 1, 1.5))  # with the colours: 24 lines told apart, on grey paper still 4
MARKERS = "osD^vP"
PANEL, SMALL = (4.4, 3.0), (3.3, 2.5)  # inches, in a paper and on the page
WORDS = 30  # letters that stand side by side below a panel
POINTS = 76  # of a curve on the page, at most; files have them all


@dataclass(frozen=True)
class Line:
    """One line and its interval."""

    name: str
    x: np.ndarray  # [S]
    mean: np.ndarray  # [S]
    low: np.ndarray  # [S]; NaN where there is no interval
    high: np.ndarray  # [S]


@dataclass(frozen=True)
class Panel:
    """One pair of axes. marks: points with their intervals rather than a curve in its band; bars, if there are ticks."""

    title: str
    x: str
    y: str
    lines: list[Line]
    marks: bool = False
    ticks: tuple[str, ...] = ()  # names of x = 0, 1, 2, … where x is not a number
    floor: float | None = None  # least y
    ceiling: float | None = None  # greatest y


def look(index: int) -> tuple[str, tuple[float, ...]]:
    """Colour and dashes (on, off, … in line widths) of the index-th line of a page."""
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]


def mean_curve(name: str, curves: np.ndarray) -> Line:
    """[n, S] -> the mean over images and, point by point, its 95 % interval (mean ± 1.96 s / √n; n < 2: none)."""
    n, points = curves.shape
    mean = curves.mean(axis=0)
    half = 1.96 * curves.std(axis=0, ddof=1) / n**0.5 if n > 1 else np.full(points, np.nan)
    return Line(name, np.linspace(0, 1, points), mean, mean - half, mean + half)


def write(stem: Path, panels: list[Panel], styles: dict[str, int]) -> list[Path]:
    """<stem>.png and <stem>.pdf: the panels side by side above one legend. styles: {line's name: its index}."""
    shown = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    fit = max(1, int(PANEL[0] * len(panels) / (0.5 + 0.075 * max(map(len, shown)))))  # legend's names in a row
    rows = -(-len(shown) // fit)
    with style.rc(stem.name):
        figure = Figure((PANEL[0] * len(panels), PANEL[1] + 0.18 * rows + 0.1), dpi=style.DPI, layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(axes, panel, styles)
        handles = {}
        for axes in figure.axes:
            handles |= {name: handle for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(
            handles.values(),
            handles,
            loc="outside lower center",
            ncols=-(-len(shown) // rows),
            fontsize=8,
            frameon=False,
        )
        return style.save(figure, stem)


def svg(name: str, panel: Panel, styles: dict[str, int]) -> str:
    """An <svg> without a legend, to stand in a page: text is text in the page's colour and font, <g data-line="3"> is
    the line of that index, or its interval. name: of this picture alone on its page.
    """
    with style.rc(name):
        figure = Figure(SMALL, layout="constrained")
        _draw(figure.subplots(), panel, styles, most=POINTS)
        return style.svg(figure)


def _draw(axes: Axes, panel: Panel, styles: dict[str, int], most: int | None = None) -> None:
    for place, line in enumerate(panel.lines):
        colour, dashes = look(styles[line.name])
        dashes = (0, dashes) if dashes else "-"
        kept = slice(None)
        if most and len(line.x) > most:
            kept = np.unique(np.linspace(0, len(line.x) - 1, most).round().astype(int))
        x, mean, low, high = line.x[kept], line.mean[kept], line.low[kept], line.high[kept]
        group = f"line:{styles[line.name]}"
        if panel.ticks and panel.marks:
            width = 0.8 / len(panel.lines)
            x = x + width * (place - (len(panel.lines) - 1) / 2)
            axes.bar(x, mean, width, color=colour, label=line.name, gid=group)
            axes.vlines(x, low, high, color=INK, linewidth=1.2, gid=group)
        elif panel.marks:
            marker = MARKERS[styles[line.name] % len(MARKERS)]
            axes.vlines(x, low, high, color=colour, linewidth=1.2, alpha=0.7, gid=group)
            points = {"marker": marker, "markersize": 4.5, "linewidth": 1.4}
            axes.plot(x, mean, color=colour, linestyle=dashes, label=line.name, gid=group, **points)
        else:
            band = axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0, gid=group)
            band.set_zorder(1)
            axes.plot(x, mean, color=colour, linestyle=dashes, linewidth=1.5, label=line.name, gid=group)
    axes.set_title(panel.title, fontsize=9.5, loc="left", fontweight="bold")
    axes.set_xlabel(panel.x, fontsize=9)
    axes.set_ylabel(panel.y, fontsize=9)
    if panel.ticks:
        long = sum(map(len, panel.ticks)) > WORDS
        turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if long else {}
        axes.set_xticks(range(len(panel.ticks)), panel.ticks, **turned)
    elif not panel.marks:
        axes.set_xlim(0, 1)
    axes.set_ylim(bottom=panel.floor, top=panel.ceiling)
    axes.tick_params(labelsize=8.5, length=3)
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
