"""The picture of an experiment, from what its runs have saved: its photographs, each with the map of every row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from bench.config import Config, load
from bench.errors import UserError
from bench.experiments import plan as experiments
from bench.figures import heatmaps as figures
from bench.report.exhibits.exhibit import Figure, Found
from bench.seeds import Seeds
from bench.store import maps as store
from bench.store.rows import load_curves
from bench.typed import elsewhere

Maps = dict[str, np.ndarray]  # {image_id: [3, H, W]}
Curves = dict[str, tuple[np.ndarray, np.ndarray]]  # {image_id: (insertion [S], deletion [S])}


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """Of an experiment that asks for one (panel: photographs, or how many)."""
    if plan is None or not plan.get("panel"):
        return
    names = {"data": lines["data"].iloc[0]}
    drawn = panel(Config(found.cfg, names, found.overrides), runs, found.matching)
    files = drawn.draw(found.folder / plan.name, plan.get("rendering", "overlay"))
    yield Figure(
        f"Heatmaps: {plan.title}", files=tuple(file.name for file in files), notes=absent(drawn, found.overrides)
    )


def panel(config: Config, runs: Mapping[str, dict], matching: Mapping[tuple[str, str], Mapping]) -> "Panel":
    """The photographs that the experiment names, or its first so many, with the map of each row, by its first metric.

    matching: {(network, metric): {row: its runs}}.
    """
    plan, panel = config.cfg.experiment, Panel()
    for (model, metric), rows in matching.items():
        record = next((runs[i] for run_ids in rows.values() for i in run_ids), None)
        if metric != plan.metrics[0]:
            continue
        if record is None:
            panel.missing.append(f"everything on {model}")
            continue
        try:
            source, ids = _photographs(config, record)
        except UserError as error:  # the tables need no photographs
            panel.missing.append(f"everything on {model} ({error})")
            continue
        if isinstance(plan.panel, int):
            shown = ids[: plan.panel]
        else:
            shown = [image for image in plan.panel if image in ids] or ids[:3]
        panel.add(model, source, shown, rows, runs, Path(config.cfg.paths.results))
    return panel


def absent(panel: "Panel", overrides: list[str]) -> tuple[str, ...]:
    """Which maps the picture lacks, and how to make them."""
    if not panel.missing:
        return ()
    command = f"python -m bench.run {elsewhere(overrides)}"
    return (f"The picture lacks the maps of {', '.join(panel.missing)}. To make them: `{command}`",)


def _photographs(config: Config, record: dict) -> tuple["Source", list[str]]:
    """The source that the experiment names, and its images."""
    from bench.images.preprocessing import Preprocessing  # torch, which no other part of a report needs
    from bench.images.source import open_source

    plan = config.cfg.experiment
    data = load([*config.overrides, *experiments.cells(plan)[0].overrides, *experiments.images(config)]).cfg.data
    return open_source(data, Preprocessing(**record["preprocessing"]), Seeds.of(config.cfg.run).images)


class Source(Protocol):
    """Where the photographs are: an image has .pixels, [3, H, W] in [0, 1]."""

    def load(self, image_id: str): ...


@dataclass
class Panel:
    """What there is to be drawn, a page per network, and what is not there."""

    pages: dict[str, list[figures.Block]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)  # "la on resnet50 (2 of 5 images)"
    readout: str = "probability"

    def draw(self, stem: Path, rendering: str) -> list[Path]:
        """<stem>.png and <stem>.pdf. UserError: an unknown rendering, or not one map."""
        if rendering not in figures.RENDERINGS:
            raise UserError(f"experiment.rendering={rendering}: there are {', '.join(figures.RENDERINGS)}.")
        blocks = [block for page in self.pages.values() for block in page]
        if all(attribution is None for block in blocks for attribution in block.maps.values()):
            raise UserError(f"There is no picture of {stem.name}: not one of its maps has been saved.")
        return figures.write(stem, self.pages, rendering=rendering, readout=self.readout)

    def add(
        self,
        model: str,
        source: Source,
        image_ids: list[str],
        rows: Mapping[str, list[str]],
        runs: Mapping[str, dict],
        results: Path,
    ) -> None:
        """A network's page.  rows: {row of the table: the runs with its settings, the preferred one first}.

        Of several runs of a row the one with the most maps of these images is shown.
        """
        found: dict[str, tuple[Maps, Curves]] = {}
        for label, run_ids in rows.items():
            there = [_read(results, runs[run_id], image_ids) for run_id in run_ids]
            found[label] = max(there, key=lambda maps_and_curves: len(maps_and_curves[0]), default=({}, {}))
            lacking = len(image_ids) - len(found[label][0])
            if lacking:
                self.missing.append(f"{label} on {model} ({lacking} of {len(image_ids)} images)")
            for run_id in run_ids:
                self.readout = runs[run_id]["config"]["metric"].get("readout", self.readout)
        from bench.images.source import ImageError

        self.pages[model] = []
        for image_id in image_ids:
            try:
                pixels = np.asarray(source.load(image_id).pixels)
            except ImageError as error:
                self.missing.append(f"{image_id} ({error})")
                continue
            maps = {label: maps.get(image_id) for label, (maps, _) in found.items()}
            curves = {label: curves.get(image_id) for label, (_, curves) in found.items()}
            self.pages[model].append(figures.Block(title=image_id, pixels=pixels, maps=maps, curves=curves))


def _read(results: Path, record: dict, image_ids: list[str]) -> tuple[Maps, Curves]:
    """Of a run the maps that were saved (run.save_attributions=true) and the curves, where its metric has any."""
    saved = store.Maps(results, str(record["attribution_id"]))
    maps = {image_id: found for image_id in image_ids if (found := saved.get(image_id)) is not None}
    curves = load_curves(results, record["cell"], record["run_id"], image_ids)
    return maps, {image_id: pair for image_id, pair in curves.items() if all(np.size(curve) > 1 for curve in pair)}
