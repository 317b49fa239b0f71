"""Heatmaps as pictures: what each method makes of a photograph, and how the network fared by it.

Two renderings. `overlay`, ours: the map in colour on the dimmed photograph, and under it the curves of its metric.
`grey`, the papers' (their released notebooks): the map alone, in grey, and under it its GAP.
"""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from PIL import Image

from bench.figures.style import FOR_PAPER

INCHES, CURVES = 1.6, 0.55  # side of a map on its photograph; height of the curves, in maps
GREY = 1.05  # inches, side of a map alone
DPI = (150, 150, 140, 100)  # dots an inch by number of photographs, the last for more: about 1.5 MB at most
GREY_DPI = 150
MARGIN = 0.45  # inches for the caption and for the axis labels
INSERTION, DELETION = "#0072b2", "#d55e00"  # blue and vermilion of Okabe and Ito: told apart by every colour vision
LETTERS = 17  # of the caption, an inch
NAME = 15  # letters of a method's name in one line
NOTHING = "no map"  # stands in the place of one
CAPTION = (
    "Maps: mean over channels, clipped to the map's 80th and 99th percentile; from black (little) over red to yellow "
    "(most important), on the dimmed photograph.",
    "Curves: {readout} against the share of values put in (insertion, solid) or taken out (deletion, dashed), the most "
    "important first.",
    "Shaded: GAP, the area of insertion minus deletion; blue adds to it, orange takes away.",
)
GREY_CAPTION = (
    "Maps: mean over channels, clipped to the map's 80th and 99th percentile; from black (little) to white (most "
    "important). Under a map: GAP, insertion minus deletion, of {readout}.",
)


@dataclass(frozen=True)
class Block:
    """One photograph and what each method makes of it; None: there is none."""

    title: str
    pixels: np.ndarray  # [3, H, W], in [0, 1]
    maps: Mapping[str, np.ndarray | None]  # {method: [3, H, W]}
    curves: Mapping[str, tuple[np.ndarray, np.ndarray] | None]  # {method: (insertion [S], deletion [S])}


def write(
    stem: Path, pages: Mapping[str, list[Block]], *, rendering: str = "overlay", readout: str = "probability"
) -> list[Path]:
    """<stem>.png, its pages one below the other, and <stem>.pdf, page after page. All pages have the same methods.

    pages: {title: a block per photograph}; a single page needs no title. readout: what the curves show.
    """
    draw = RENDERINGS[rendering]
    files = [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "pdf")]
    stem.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(FOR_PAPER), PdfPages(files[1], metadata={"CreationDate": None}) as pdf:
        pictures = []
        for title, blocks in pages.items():
            figure = draw(blocks, readout)
            if len(pages) > 1:
                figure.suptitle(title, fontsize=10, x=0.01, ha="left", weight="bold")
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            figure.set_layout_engine("none")  # what has been laid out stays where it is
            pictures.append(np.asarray(canvas.buffer_rgba())[..., :3])
            pdf.savefig(figure)
    Image.fromarray(np.vstack(pictures)).save(files[0], optimize=True)
    return files


def _overlays(blocks: list[Block], readout: str) -> Figure:
    """Two rows per photograph, maps and curves; a column per method."""
    methods = list(blocks[0].maps)
    width = INCHES * (len(methods) + 1) + 2 * MARGIN
    height = INCHES * (1.16 + CURVES) * len(blocks) + 2 * MARGIN
    figure = Figure(figsize=(width, height), dpi=DPI[min(len(blocks), len(DPI)) - 1], layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.04, wspace=0.02, hspace=0.02)
    axes = figure.subplots(2 * len(blocks), len(methods) + 1, squeeze=False, height_ratios=[1, CURVES] * len(blocks))
    for block, pictures, plots in zip(blocks, axes[::2], axes[1::2], strict=True):
        _picture(pictures[0], block.pixels.transpose(1, 2, 0), block.title)
        _legend(plots[0])
        there = [pair for pair in block.curves.values() if pair is not None]
        top = max(1.0, *(float(np.max(curve)) for pair in there for curve in pair), 1.0)
        for column, method in enumerate(methods, 1):
            attribution, pair = block.maps[method], block.curves[method]
            painted = None if attribution is None else overlay(block.pixels, attribution)
            _picture(pictures[column], painted, wrapped(method), weight="bold")
            if pair is None:
                plots[column].set_axis_off()
                continue
            _curves(plots[column], *pair, top=top)
            plots[column].tick_params(labelleft=column == 1)
        plots[1].set_ylabel(readout, fontsize=7)
    _caption(figure, CAPTION, readout)
    return figure


def _greys(blocks: list[Block], readout: str) -> Figure:
    """A row per photograph, a column per method, as the papers print them."""
    methods = list(blocks[0].maps)
    width, height = GREY * (len(methods) + 1), GREY * 1.13 * len(blocks) + 1.3 * MARGIN
    figure = Figure(figsize=(width, height), dpi=GREY_DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.01)
    for n, (block, axes) in enumerate(
        zip(blocks, figure.subplots(len(blocks), len(methods) + 1, squeeze=False), strict=True)
    ):
        _picture(axes[0], block.pixels.transpose(1, 2, 0), "")
        _below(axes[0], block.title)
        for column, method in enumerate(methods, 1):
            attribution, pair = block.maps[method], block.curves[method]
            _picture(axes[column], None if attribution is None else grey(attribution), "" if n else wrapped(method))
            if pair is not None:
                _below(axes[column], _signed(gap(*pair)))
    _caption(figure, GREY_CAPTION, readout)
    return figure


RENDERINGS = {"overlay": _overlays, "grey": _greys}


def wrapped(name: str) -> str:
    """A long name in several lines, broken after underscores and spaces."""
    lines = [""]
    for part in re.split(r"(?<=[_ ])", name):
        lines[-1:] = [lines[-1] + part] if len(lines[-1] + part) <= NAME else [lines[-1], part]
    return "\n".join(line.strip() for line in lines if line)


def gap(insertion: np.ndarray, deletion: np.ndarray) -> float:
    """The area between two curves [S] over the share of values that have been changed."""
    return float(np.trapezoid(insertion - deletion, np.linspace(0, 1, len(insertion))))


def heat(attribution: np.ndarray) -> np.ndarray:
    """[3, H, W] -> [H, W] in [0, 1]: mean over channels, clipped to the 80th and 99th percentile, rescaled."""
    scores = attribution.mean(axis=0)
    low, high = np.percentile(scores, [80, 99])
    return (scores.clip(low, high) - low) / (high - low + 1e-8)


def grey(attribution: np.ndarray) -> np.ndarray:
    """[3, H, W] -> [H, W, 3] in [0, 1]: `heat` in grey, as the released notebooks of AGI and LA show it."""
    return np.repeat(heat(attribution)[..., None], 3, axis=2)


def overlay(pixels: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    """[H, W, 3] in [0, 1]: the map in inferno; where it is low, the photograph shows through, grey and dim."""
    amount = heat(attribution)[..., None]  # [H, W, 1]
    dim = np.tensordot([0.299, 0.587, 0.114], pixels, axes=1)[..., None]
    colour = colormaps["inferno"](0.15 + 0.85 * amount[..., 0])[..., :3]
    opacity = amount**0.5
    return opacity * colour + (1 - opacity) * 0.4 * dim


def _picture(axes: Axes, picture: np.ndarray | None, title: str, **font: str) -> None:
    """A picture [H, W, 3] without axes, or a frame that says that there is none."""
    axes.set_title(title, fontsize=8, pad=3, **font)
    if picture is not None:
        axes.imshow(picture)
        axes.set_axis_off()
        return
    axes.text(0.5, 0.5, NOTHING, fontsize=7, ha="center", va="center", transform=axes.transAxes, color="0.4")
    axes.set(xticks=[], yticks=[], box_aspect=1)
    axes.spines[:].set_color("0.8")


def _below(axes: Axes, text: str) -> None:
    axes.text(0.5, -0.03, text, fontsize=6.5, ha="center", va="top", transform=axes.transAxes)


def _caption(figure: Figure, lines: tuple[str, ...], readout: str) -> None:
    columns = int(figure.get_figwidth() * LETTERS)
    text = "\n".join(textwrap.fill(line.format(readout=readout), columns) for line in lines)
    figure.supxlabel(text, fontsize=7, x=0.01, ha="left")


def _signed(number: float) -> str:
    return f"{round(number, 3) + 0.0:+.3f}".replace("-", "−")  # no negative zero


def _curves(axes: Axes, insertion: np.ndarray, deletion: np.ndarray, *, top: float) -> None:
    """Both curves over the share of values that have been changed, and the signed area between them."""
    share = np.linspace(0, 1, len(insertion))
    axes.fill_between(share, insertion, deletion, where=insertion >= deletion, color=INSERTION, alpha=0.15, linewidth=0)
    axes.fill_between(share, insertion, deletion, where=insertion < deletion, color=DELETION, alpha=0.25, linewidth=0)
    axes.plot(share, insertion, color=INSERTION, linewidth=1.3)
    axes.plot(share, deletion, color=DELETION, linewidth=1.3, linestyle=(0, (3, 1.5)))
    axes.set(xlim=(0, 1), ylim=(0, 1.05 * top), xticks=[0, 0.5, 1], yticks=[0, top / 2, top])
    axes.set_xticklabels(["0", "½", "1"])
    axes.set_yticklabels(["0", f"{top / 2:.2g}", f"{top:.2g}"])
    axes.set_title(f"GAP {_signed(gap(insertion, deletion))}", fontsize=7.5, pad=2)
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Axes) -> None:
    axes.plot([], [], color=INSERTION, linewidth=1.3, label="insertion ↑")
    axes.plot([], [], color=DELETION, linewidth=1.3, linestyle=(0, (3, 1.5)), label="deletion ↓")
    axes.legend(loc="center", fontsize=7.5, frameon=False)
    axes.set_axis_off()
