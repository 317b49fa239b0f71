"""The page's gallery: a photograph and every method's map of it, small enough to be carried inside the page."""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from bench.config import load
from bench.errors import UserError
from bench.figures.heatmaps import heat, overlay
from bench.report.exhibits import ablations
from bench.report.exhibits.exhibit import Figure, Found
from bench.report.explorer import classes
from bench.report.quantities import Quantities
from bench.report.table import number
from bench.report.templates import environment
from bench.seeds import Seeds
from bench.store.maps import Maps
from bench.store.rows import Rows
from bench.text import natural

if TYPE_CHECKING:
    from bench.images.source import Source

PLACE = "Gallery"
SIDE = 176  # pixels of a thumbnail, at most
QUALITY = 78
IMAGES, BYTES = 24, 3_500_000  # in the page, at most: whichever comes first
CURVE = 32  # points of a curve, at most


@dataclass(frozen=True)
class Score:
    """How one map fared by one metric."""

    metric: str
    values: dict[str, str]  # {quantity: its number}
    insertion: str = ""  # points of an SVG polyline in a box of 100 × 60, downwards; empty: the metric has no curve
    deletion: str = ""


@dataclass
class Map:
    """One method's map of an image."""

    method: str
    maps: str  # which of the method's
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
    classes: Sequence[str] = ()  # their names, in order, if anybody says them

    def called(self, fact: str) -> str:
        """The class that the label, the prediction or the target is."""
        k = int(self.facts[fact])
        return self.classes[k] if k < len(self.classes) else f"class {k}"

    @property
    def size(self) -> int:
        """Bytes in the page, about."""
        maps = sum(len(m.picture) + sum(len(s.insertion) + len(s.deletion) + 400 for s in m.scores) for m in self.maps)
        return maps + len(self.photograph or "")


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """Of a report on all rows, and of its page alone."""
    if plan is not None:
        return
    kinds = {
        metric: dict(part[["quantity", "kind"]].itertuples(index=False))
        for metric, part in lines.drop_duplicates(["metric", "quantity"]).groupby("metric")
    }
    exhibits, there = _exhibits(found, runs, kinds)
    metric = next(iter(found.cfg.get("metric") or ()), "")
    page = environment().get_template("gallery.html")
    html = page.render(exhibits=exhibits, halls=_halls(exhibits), there=there, metric=metric)
    yield Figure(PLACE, PLACE, html=html)


def saved(results: Path, runs: dict[str, dict], rows: pd.DataFrame) -> dict[tuple[str, str], dict[str, set[str]]]:
    """{(data, model): {run_id: its images}}, of scored images whose maps were saved.  rows: run_id, image_id."""
    found = {}
    for run_id, images in rows.groupby("run_id")["image_id"]:
        record = runs.get(run_id, {})
        if record.get("attribution_id") and (mapped := Maps(results, record["attribution_id"]).among(images)):
            cell = record["cell"]
            found.setdefault((cell["data"], cell["model"]), {})[run_id] = mapped
    return found


def chosen(images: dict[tuple[str, str], Iterable[str]]) -> list[tuple[tuple[str, str], str]]:
    """[((data, model), image)]: every data and model in turn, so that each has its share of the page's room."""
    ranks = zip_longest(*([(key, image) for image in ids] for key, ids in images.items()))
    return [item for item in chain.from_iterable(ranks) if item][:IMAGES]


def photographs(cfg: DictConfig, data: str, record: dict) -> "Source | None":
    """The source that a run took its images from, if it is on this machine."""
    from bench.images.preprocessing import Preprocessing  # torch, which no other part of a report needs
    from bench.images.source import SELECTION, open_source

    try:
        settings = OmegaConf.create(_settings(cfg, data, record) | dict.fromkeys(SELECTION))
        return open_source(settings, Preprocessing(**record["preprocessing"]), Seeds.of(cfg.run).images)[0]
    except (UserError, OSError, ImportError):
        return None


def pixels(source: "Source | None", image: str) -> np.ndarray | None:
    """[3, H, W] in [0, 1]; None if the image cannot be had."""
    if source is None:
        return None
    from bench.images.source import ImageError

    try:
        return np.asarray(source.load(image).pixels)
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


def scores(rows: list[dict[str, dict]], kinds: Mapping[str, Quantities]) -> list[list[Score]]:
    """rows: for each map of an image {metric: its row of the store}. All maps share the height of a metric's box: 1, or
    the highest point of their curves if that is more.
    """
    tops = {}
    for row in rows:
        for metric, judged in row.items():
            tops[metric] = max(tops.get(metric, 1.0), *(float(np.max(curve)) for curve in _curves(judged)), 1.0)
    return [[_score(metric, row[metric], tops[metric], kinds[metric]) for metric in sorted(row)] for row in rows]


def _score(metric: str, row: dict, top: float, kinds: Quantities) -> Score:
    numbers = {
        name: row[kind.minus[0]] - row[kind.minus[1]] if kind.minus else row[name] for name, kind in kinds.items()
    }
    shown = {name: number(value, "+" if kinds[name].minus else "-", 3) for name, value in numbers.items()}
    return Score(metric, shown, *(_polyline(curve / top) for curve in _curves(row)))


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

    A record may come from elsewhere, so the class that is opened is never the one it names, nothing is fetched for it, and
    what it says is no expression.
    """
    choices = OmegaConf.select(cfg, "hydra.runtime.choices") or {}
    if choices.get("data") == data:
        return OmegaConf.to_container(cfg.data, resolve=True)
    known = OmegaConf.to_container(load([f"data={data}"]).cfg.data, resolve=True)
    recorded = {
        key: value
        for key, value in record["config"]["data"].items()
        if not isinstance(value, dict | list) and "${" not in str(value)
    }
    return known | {key: recorded[key] for key in known.keys() & recorded.keys() - {"_target_", "path"}}


def _exhibits(found: Found, runs: dict[str, dict], kinds: Mapping[str, Quantities]) -> tuple[list[Exhibit], int]:
    """As many images as there is room for, and of how many there are maps."""
    ok = found.rows[found.rows["status"] == "ok"]
    scored, maps_of = ok.groupby("run_id").size(), saved(found.results, runs, ok)
    halls, images = {}, {}
    for key, maps in maps_of.items():
        by_method = pd.Series({i: runs[i]["cell"]["method"] for i in maps})
        halls[key] = {
            method: ablations.typical(sorted(part.index), runs, scored) for method, part in by_method.groupby(by_method)
        }
        counts = pd.Series([image for run_id in halls[key].values() for image in maps[run_id]]).value_counts()
        images[key] = sorted(counts.index, key=lambda image: (-counts[image], natural(image)))

    source = cache(lambda key: photographs(found.cfg, key[0], runs[next(iter(halls[key].values()))]))
    judged = cache(lambda key: _judged(found.results, runs, set(halls[key].values()), set(images[key][:IMAGES])))
    exhibits, room = [], BYTES
    for key, image in chosen(images):
        photograph = pixels(source(key), image)
        hung = {method: run_id for method, run_id in halls[key].items() if image in maps_of[key][run_id]}
        rows = [judged(key).get((runs[run_id]["attribution_id"], image), {}) for run_id in hung.values()]
        facts = next((row for metrics in rows for row in metrics.values()), {})
        maps = []
        for (method, run_id), of_map in zip(hung.items(), scores(rows, kinds), strict=True):
            attribution = Maps(found.results, runs[run_id]["attribution_id"]).get(image)
            maps.append(Map(method, runs[run_id]["attribution_id"], painted(attribution, photograph), of_map))
        exhibit = Exhibit(
            *key,
            image,
            photograph=None if photograph is None else thumbnail(photograph.transpose(1, 2, 0)),
            facts={
                name: facts[name]
                for name in ("label", "prediction", "target", "confidence")
                if pd.notna(facts.get(name))
            },
            small=attribution.shape[-1] < SIDE,
            maps=maps,
            classes=classes.names(runs[next(iter(hung.values()))]),
        )
        room -= exhibit.size
        if room < 0:
            break
        exhibits.append(exhibit)
    return exhibits, sum(map(len, images.values()))


def _halls(exhibits: list[Exhibit]) -> dict[str, list[tuple[int, Exhibit]]]:
    """{title: [(place among all, exhibit)]}, by data and network."""
    halls = {}
    for i, exhibit in enumerate(exhibits):
        halls.setdefault(f"{exhibit.model} · {exhibit.data}", []).append((i, exhibit))
    return halls


def _judged(results: Path, runs: dict[str, dict], shown: set[str], images: set[str]) -> dict[tuple, dict[str, dict]]:
    """{(attribution_id, image): {metric: row}}: every metric that the shown runs' maps were scored by."""
    wanted, found = {runs[i]["attribution_id"] for i in shown}, {}
    for run_id, record in runs.items():
        if record.get("attribution_id") in wanted:
            rows = Rows(results, record["cell"], run_id).read(images=images).to_pandas()
            rows = rows[rows["status"] == "ok"]
            for row in rows.to_dict("records"):
                found.setdefault((record["attribution_id"], row["image_id"]), {})[record["cell"]["metric"]] = row
    return found
