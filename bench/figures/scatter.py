"""Named points over a cost that spans powers of ten, each name beside its point where there is room."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import style
from bench.figures.style import COLOURS, INK

WIDTH, HEIGHT = 6.6, 5.2  # inches of a panel
LEFT, RIGHT, BOTTOM, TOP = 0.75, 0.95, 0.55, 0.4  # inches around the axes; names of the dearest stand at the right
LETTER, LINE = 3.9, 8.5  # points: of a name in the size below
TEXT = 7.0  # points
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
GREY = "#7a838d"  # on white and on black


@dataclass(frozen=True)
class Dot:
    """One row. x: from 0 on; y with its interval, NaN where there is none; aside: drawn in grey, a control."""

    name: str
    x: float
    y: float
    low: float = np.nan
    high: float = np.nan
    aside: bool = False


@dataclass(frozen=True)
class Field:
    """One pair of axes."""

    title: str
    x: str
    y: str
    dots: list[Dot]


def write(stem: Path, fields: list[Field]) -> list[Path]:
    """<stem>.png and <stem>.pdf: the panels side by side."""
    with style.rc(stem.name):
        figure = Figure((WIDTH * len(fields), HEIGHT), dpi=style.DPI)
        for k, field in enumerate(fields):
            _draw(_axes(figure, k, len(fields)), field)
        return style.save(figure, stem)


def svg(name: str, field: Field) -> str:
    """An <svg> to stand in a page. name: of this picture alone on its page."""
    with style.rc(name):
        figure = Figure((WIDTH, HEIGHT))
        _draw(_axes(figure, 0, 1), field)
        return style.svg(figure)


def _axes(figure: Figure, k: int, n: int) -> Axes:
    """The k-th of n, at a place that is known before anything is drawn: names are laid out by it."""
    size = ((WIDTH - LEFT - RIGHT) / (WIDTH * n), (HEIGHT - BOTTOM - TOP) / HEIGHT)
    return figure.add_axes((k / n + LEFT / (WIDTH * n), BOTTOM / HEIGHT, *size))


def _draw(axes: Axes, field: Field) -> None:
    x, y, low, high = np.array([(dot.x, dot.y, dot.low, dot.high) for dot in field.dots]).T
    colours = [GREY if dot.aside else COLOURS[0] for dot in field.dots]
    axes.vlines(x, low, high, colors=colours, linewidth=1.0, alpha=0.45)
    axes.scatter(x, y, s=20, c=colours, zorder=3)
    least = x[x > 0].min(initial=np.inf)
    axes.set_xscale("symlog", linthresh=10.0 ** np.floor(np.log10(least)) if np.isfinite(least) else 1.0)
    axes.xaxis.set_major_formatter(lambda value, _: _power(value))
    axes.set_xlim(
        -0.2 * axes.xaxis.get_transform().linthresh if (x == 0).any() else least / 1.5, max(x.max(), 1e-9) * 1.6
    )
    axes.set_title(field.title, fontsize=9.5, loc="left", fontweight="bold")
    axes.set_xlabel(field.x, fontsize=9)
    axes.set_ylabel(field.y, fontsize=9)
    axes.tick_params(labelsize=8.5, length=3)
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(*axes.get_ylim())  # as it is now: names move nothing
    scale = 72 / axes.figure.dpi
    places = axes.transData.transform(np.stack([x, y], axis=1)) * scale  # points
    for dot, (dx, dy) in zip(field.dots, beside(places, [dot.name for dot in field.dots]), strict=True):
        leader = {"arrowstyle": "-", "linewidth": 0.4, "color": GREY, "shrinkA": 0, "shrinkB": 2}
        axes.annotate(
            dot.name,
            (dot.x, dot.y),
            (dx, dy),
            textcoords="offset points",
            fontsize=TEXT,
            va="center",
            arrowprops=leader if abs(dy) > LINE else None,
            annotation_clip=False,
        )


def _power(value: float) -> str:
    """10² of 100."""
    return "10" + f"{np.log10(value):.0f}".translate(RAISED) if value > 0 else "0"


def beside(places: np.ndarray, names: list[str]) -> list[tuple[float, float]]:
    """Where each name starts, from its point: to the right, moved up or down as little as keeps names apart.

    places: [n, 2] in points; names and offsets likewise.
    """
    taken: list[tuple[float, float, float, float]] = [(x - 2, y - 2, x + 2, y + 2) for x, y in places]
    offsets = [(5.0, 0.0)] * len(names)
    for k in np.argsort(-places[:, 1], kind="stable"):
        x, y = places[k]
        wide = LETTER * len(names[k])
        for step in sorted(np.arange(-240.0, 240.0, 2.0), key=abs):
            box = (x + 5, y + step - LINE / 2, x + 5 + wide, y + step + LINE / 2)
            if not any(_meet(box, other) for other in taken):
                break
        offsets[k] = (5.0, float(step))
        taken.append(box)
    return offsets


def _meet(one: tuple, other: tuple) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
