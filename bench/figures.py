"""Heatmaps as pictures: each method's map of a photograph and, under it, how the network fared by it."""

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench import tables
from bench.errors import UserError

INCHES, CURVES = 1.6, 0.55  # side of a map; height of the curves, in maps
DPI = (150, 150, 140, 100)  # dots an inch by number of photographs, the last for more: about 1.5 MB at most
MARGIN = 0.45  # inches for the caption and for the axis labels
INSERTION, DELETION = "#0072b2", "#d55e00"  # blue and vermilion of Okabe and Ito: told apart by every colour vision
LETTERS = 17  # of the caption, an inch
CAPTION = (
    "Maps: mean over channels, clipped to the map's 80th and 99th percentile; from black (little) over red to yellow "
    "(most important), on the dimmed photograph.",
    "Curves: {readout} against the share of values put in (insertion, solid) or taken out (deletion, dashed), the most "
    "important first.",
    "Shaded: GAP, the area of insertion minus deletion; blue adds to it, orange takes away.",
)


@dataclass(frozen=True)
class Block:
    """One photograph and what each method makes of it."""

    title: str
    pixels: np.ndarray  # [3, H, W], in [0, 1]
    maps: Mapping[str, np.ndarray]  # {method: [3, H, W]}
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]  # {method: (insertion [S], deletion [S])}


class Source(Protocol):
    """Where the photographs are: an image has .pixels, [3, H, W] in [0, 1]."""

    def load(self, image_id: str): ...


def panel(path: Path, blocks: list[Block], *, readout: str = "probability") -> Path:
    """One PNG: a block of two rows per photograph, a column per method. readout: what the curves show."""
    methods = list(blocks[0].maps)
    width = INCHES * (len(methods) + 1) + 2 * MARGIN
    height = INCHES * (1.16 + CURVES) * len(blocks) + 2 * MARGIN
    dpi = DPI[min(len(blocks), len(DPI)) - 1]
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.04, wspace=0.02, hspace=0.02)
    axes = figure.subplots(2 * len(blocks), len(methods) + 1, squeeze=False, height_ratios=[1, CURVES] * len(blocks))
    for block, pictures, plots in zip(blocks, axes[::2], axes[1::2], strict=True):
        _picture(pictures[0], block.pixels.transpose(1, 2, 0), block.title)
        _legend(plots[0])
        top = max(1.0, *(float(np.max(curve)) for pair in block.curves.values() for curve in pair))
        for column, method in enumerate(methods, 1):
            _picture(pictures[column], overlay(block.pixels, block.maps[method]), method, weight="bold")
            _curves(plots[column], *block.curves[method], top=top)
            plots[column].tick_params(labelleft=column == 1)
        plots[1].set_ylabel(readout, fontsize=7)
    caption = "\n".join(textwrap.fill(line.format(readout=readout), int(width * LETTERS)) for line in CAPTION)
    figure.supxlabel(caption, fontsize=7, x=0.01, ha="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, pil_kwargs={"optimize": True})
    return path


def panel_from_results(
    path: Path,
    results: Path,
    source: Source,
    *,
    data: str,
    model: str,
    methods: Iterable[str],
    metric: str,
    image_ids: list[str],
    names: Mapping[str, str] | None = None,
) -> Path:
    """`panel` from what runs have saved: rows, and attributions (run.save_attributions=true).

    Of several runs of a cell the one with the most of these images is shown. names: {image_id: what stands above the
    photograph}; default: its id.
    """
    runs, maps, curves = tables.load_runs(results), {}, {}
    readout = "probability"
    for method in methods:
        cell = {"data": data, "model": model, "method": method, "metric": metric}
        found = [
            (tables.load_curves(results, run_id, image_ids), record)
            for run_id, record in runs.items()
            if record["cell"] == cell
        ]
        if not found:
            raise _missing(cell, image_ids)
        curves[method], record = max(found, key=lambda item: len(item[0]))
        readout = record["config"]["metric"].get("readout", readout)
        folder = results / "attributions" / str(record["attribution_id"])
        files = {i: folder / f"{i}.npy" for i in image_ids}
        if set(curves[method]) != set(image_ids) or not all(file.exists() for file in files.values()):
            raise _missing(cell, image_ids)
        maps[method] = {i: np.load(file) for i, file in files.items()}
    blocks = [
        Block(
            title=(names or {}).get(image_id, image_id),
            pixels=np.asarray(source.load(image_id).pixels),
            maps={method: maps[method][image_id] for method in maps},
            curves={method: curves[method][image_id] for method in maps},
        )
        for image_id in image_ids
    ]
    return panel(path, blocks, readout=readout)


def heat(attribution: np.ndarray) -> np.ndarray:
    """[3, H, W] -> [H, W] in [0, 1]: mean over channels, clipped to the 80th and 99th percentile, rescaled."""
    scores = attribution.mean(axis=0)
    low, high = np.percentile(scores, [80, 99])
    return (scores.clip(low, high) - low) / (high - low + 1e-8)


def overlay(pixels: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    """[H, W, 3] in [0, 1]: the map in inferno; where it is low, the photograph shows through, grey and dim."""
    amount = heat(attribution)[..., None]  # [H, W, 1]
    grey = np.tensordot([0.299, 0.587, 0.114], pixels, axes=1)[..., None]
    colour = colormaps["inferno"](0.15 + 0.85 * amount[..., 0])[..., :3]
    opacity = amount**0.5
    return opacity * colour + (1 - opacity) * 0.4 * grey


def _picture(axes: Axes, picture: np.ndarray, title: str, **font: str) -> None:
    axes.imshow(picture)
    axes.set_title(title, fontsize=8, pad=3, **font)
    axes.set_axis_off()


def _curves(axes: Axes, insertion: np.ndarray, deletion: np.ndarray, *, top: float) -> None:
    """Both curves over the share of values that have been changed, and the signed area between them."""
    share = np.linspace(0, 1, len(insertion))
    gap = np.trapezoid(insertion - deletion, share)
    axes.fill_between(share, insertion, deletion, where=insertion >= deletion, color=INSERTION, alpha=0.15, linewidth=0)
    axes.fill_between(share, insertion, deletion, where=insertion < deletion, color=DELETION, alpha=0.25, linewidth=0)
    axes.plot(share, insertion, color=INSERTION, linewidth=1.3)
    axes.plot(share, deletion, color=DELETION, linewidth=1.3, linestyle=(0, (3, 1.5)))
    axes.set(xlim=(0, 1), ylim=(0, 1.05 * top), xticks=[0, 0.5, 1], yticks=[0, top / 2, top])
    axes.set_xticklabels(["0", "½", "1"])
    axes.set_yticklabels(["0", f"{top / 2:.2g}", f"{top:.2g}"])
    axes.set_title(f"GAP {gap:+.3f}".replace("-", "−"), fontsize=7.5, pad=2)
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Axes) -> None:
    axes.plot([], [], color=INSERTION, linewidth=1.3, label="insertion ↑")
    axes.plot([], [], color=DELETION, linewidth=1.3, linestyle=(0, (3, 1.5)), label="deletion ↓")
    axes.legend(loc="center", fontsize=7.5, frameon=False)
    axes.set_axis_off()


def _missing(cell: dict[str, str], image_ids: list[str]) -> UserError:
    settings, metric = " ".join(f"{key}={cell[key]}" for key in ("data", "model", "method")), cell["metric"]
    command = f"python -m bench.run {settings} 'metric=[{metric}]' run.save_attributions=true"
    return UserError(f"Not all of {', '.join(image_ids)} have a row and a saved attribution. Make them: {command}")
