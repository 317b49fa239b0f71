"""The page's gallery: a photograph and every method's map of it, small enough to be carried inside the page."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from bench.config import load
from bench.errors import UserError
from bench.figures.heatmaps import heat, overlay
from bench.images.preprocessing import Preprocessing
from bench.images.source import SELECTION, ImageError, Source, open_source

SIDE = 176  # pixels of a thumbnail, at most
QUALITY = 78
IMAGES, BYTES = 24, 6_000_000  # in the page, at most: whichever comes first
CURVE = 48  # points of a curve, at most


@dataclass(frozen=True)
class Score:
    """How one map fared by one metric."""

    metric: str
    values: dict[str, float]  # insertion, deletion and gap, or score
    insertion: str = ""  # points of an SVG polyline in a box of 100 × 60, downwards; empty: the metric has no curve
    deletion: str = ""


@dataclass
class Map:
    """One method's map of an image."""

    method: str
    picture: str  # data URI
    scores: list[Score] = field(default_factory=list)


@dataclass
class Exhibit:
    """One image of one network."""

    data: str
    model: str
    image: str
    photograph: str | None  # data URI; None: the source is not on this machine
    facts: dict[str, float]  # label, prediction, target, confidence, as far as known
    small: bool  # fewer pixels than a thumbnail has: to be enlarged unsmoothed
    maps: list[Map]

    @property
    def size(self) -> int:
        """Bytes in the page, about."""
        maps = sum(len(m.picture) + sum(len(s.insertion) + len(s.deletion) + 400 for s in m.scores) for m in self.maps)
        return maps + len(self.photograph or "")


def saved(results: Path, runs: dict[str, dict]) -> dict[tuple[str, str], dict[str, dict[str, Path]]]:
    """{(data, model): {run_id: {image_id: the file of its map}}}, of runs whose maps were saved."""
    found, folders = {}, {}
    for run_id, record in runs.items():
        folder = results / "attributions" / str(record.get("attribution_id"))
        if folder not in folders:
            folders[folder] = {file.stem: file for file in sorted(folder.glob("*.npy"))}
        if folders[folder]:
            cell = record["cell"]
            found.setdefault((cell["data"], cell["model"]), {})[run_id] = folders[folder]
    return found


def chosen(images: dict[tuple[str, str], Iterable[str]]) -> list[tuple[tuple[str, str], str]]:
    """[((data, model), image)]: every data and model in turn, so that each has its share of the page's room."""
    ranks = zip_longest(*([(key, image) for image in ids] for key, ids in images.items()))
    return [item for item in chain.from_iterable(ranks) if item][:IMAGES]


def photographs(cfg: DictConfig, data: str, record: dict) -> Source | None:
    """The source that a run took its images from, if it is on this machine."""
    try:
        settings = OmegaConf.create(_settings(cfg, data, record) | dict.fromkeys(SELECTION))
        return open_source(settings, Preprocessing(**record["preprocessing"]), cfg.run.seed)[0]
    except (UserError, OSError, ImportError):
        return None


def pixels(source: Source | None, image: str) -> np.ndarray | None:
    """[3, H, W] in [0, 1]; None if the image cannot be had."""
    try:
        return None if source is None else np.asarray(source.load(image).pixels)
    except (ImageError, KeyError, ValueError, OSError):
        return None


def painted(attribution: np.ndarray, photograph: np.ndarray | None) -> str:
    """A map [3, H, W], on its photograph [3, H, W] if there is one, as data URI."""
    if photograph is None or photograph.shape != attribution.shape:
        return thumbnail(colormaps["inferno"](heat(attribution))[..., :3])
    return thumbnail(overlay(photograph, attribution))


def thumbnail(picture: np.ndarray) -> str:
    """[H, W, 3] in [0, 1] -> a small JPEG as data URI."""
    image = Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def scores(rows: list[dict[str, dict]]) -> list[list[Score]]:
    """rows: for each map of an image {metric: its row of the store}. All maps share the height of a metric's box: 1, or
    the highest point of their curves if that is more.
    """
    tops = {}
    for row in rows:
        for metric, judged in row.items():
            tops[metric] = max(tops.get(metric, 1.0), *(float(np.max(curve)) for curve in _curves(judged)), 1.0)
    return [[_score(metric, row[metric], tops[metric]) for metric in sorted(row)] for row in rows]


def _score(metric: str, row: dict, top: float) -> Score:
    if pd.notna(row["score"]):
        return Score(metric, {"score": row["score"]})
    values = {"insertion": row["insertion"], "deletion": row["deletion"], "gap": row["insertion"] - row["deletion"]}
    return Score(metric, values, *(_polyline(curve / top) for curve in _curves(row)))


def _curves(row: dict) -> list[np.ndarray]:
    """Insertion and deletion, or nothing."""
    curves = [row["insertion_curve"], row["deletion_curve"]]
    return [] if any(curve is None or len(curve) < 2 for curve in curves) else [np.asarray(curve) for curve in curves]


def _polyline(curve: np.ndarray) -> str:
    kept = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), CURVE)).round().astype(int))
    return " ".join(
        f"{x:.4g},{y:.3g}" for x, y in zip(100 * kept / (len(curve) - 1), 60 * (1 - curve[kept]), strict=True)
    )


def _settings(cfg: DictConfig, data: str, record: dict) -> dict:
    """Of the source: as asked for now, if it is that one; else as recorded, of a source that this program knows.

    A record may come from elsewhere, so the class that is opened is never the one it names.
    """
    choices = OmegaConf.select(cfg, "hydra.runtime.choices") or {}
    if choices.get("data") == data:
        return OmegaConf.to_container(cfg.data, resolve=True)
    known = OmegaConf.to_container(load([f"data={data}"]).cfg.data, resolve=True)
    recorded = {key: value for key, value in record["config"]["data"].items() if not isinstance(value, dict | list)}
    return known | {key: recorded[key] for key in known.keys() & recorded.keys() - {"_target_"}}
