"""The sweep over an experiment's cells: each cell's configuration, and what is said before the first one starts."""

import functools
import sys
from dataclasses import replace
from pathlib import Path

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from bench.config import USUAL_SIZE, Config, configured
from bench.errors import UserError
from bench.experiments.cells import Cells
from bench.experiments.plan import Cell, cells, images
from bench.images.preprocessing import Preprocessing
from bench.images.source import Source, open_source
from bench.running.forecast import Cost, costs, total
from bench.running.job import shard
from bench.seeds import Seeds
from bench.store import records
from bench.store.maps import Maps
from bench.store.rows import load_rows
from bench.text import plural

Runs = dict[str, dict]  # {run id: its record}
CHOSEN = {"model": "models", "method": "methods", "metric": "metrics"}  # the experiment says these, not the command


def of_cell(config: Config) -> Config:
    """The configuration of the cell that `experiment.cell` numbers; any other configuration as it is."""
    plan = config.cfg.get("experiment")
    if not plan or plan.get("cell") is None:
        return config
    for override in config.overrides:
        if (key := override.split("=")[0].lstrip("+")) in CHOSEN:
            name, value = CHOSEN[key], override.partition("=")[2].strip("[]")
            raise UserError(f"An experiment chooses its {name} itself: instead of {key}=, experiment.{name}=[{value}].")
    if plan.cell >= (n := len(numbered := cells(plan))):
        raise UserError(f"experiment.cell={plan.cell}: {plan.name} has the cells 0 to {n - 1}.")
    return composed(config, [numbered[plan.cell]])[0]


def composed(config: Config, numbered: list[Cell]) -> list[Config]:
    """The configurations of cells: the same for the forecast and for a cell's own run."""
    read, more = Cells(config), images(config)
    return [replace(read.whole(cell, more), overrides=config.overrides) for cell in numbered]


class Announcement(Callback):
    """Says before a sweep starts what the whole of it costs."""

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        if config.experiment.cell is not None:  # one cell speaks for itself
            return
        print(f"{config.experiment.title}.", file=sys.stderr)
        if OmegaConf.select(config, "hydra.launcher.engine"):  # which cuts cells by what they cost, and says it
            return
        try:
            task = list(config.hydra.overrides.task)
            print(_cost(configured(config, config.hydra.runtime.choices, task)), file=sys.stderr)
        except UserError:
            return  # the first cell will say what is wrong
        except Exception as error:  # a forecast is no reason not to run
            print(f"No forecast: {error}", file=sys.stderr)


def _cost(config: Config) -> str:
    return outlook(composed(config, cells(config.cfg.experiment)))[1]


def outlook(configs: list[Config], jobs: str = "cell") -> tuple[list[Cost], str]:
    """What each job of a sweep has still to compute, and a sentence about all of it.  jobs: what it calls them."""

    @functools.cache
    def opened(data: str, seed: int, size: int) -> tuple[Source, list[str]]:
        return open_source(OmegaConf.create(data), Preprocessing(size, size), seed)  # type: ignore[arg-type]

    def of(config: Config, size: int | None = None) -> tuple[Source, list[str]]:
        cfg = config.cfg
        data = OmegaConf.to_yaml(cfg.data, resolve=True)
        return opened(data, Seeds.of(cfg.run).images, size or cfg.model.size or USUAL_SIZE)

    wanted = [shard(of(config)[1], config.cfg.run.shard) for config in configs]
    results = Path(configs[0].cfg.paths.results)
    there = records.load_runs(results)  # once: thousands of files, where a folder holds many tables
    runs = [_of_these(there, of(config)[0].collection) for config in configs]
    left = _left(configs, wanted, runs, results)
    kept = [_kept(*of_job, results) for of_job in zip(configs, wanted, runs, strict=True)]
    found = costs(configs, lambda config, size: of(config, size)[0], left, kept)
    maps = sum(map(len, wanted))
    done = f", {maps - sum(left):,} of the {maps:,} there already" if sum(left) < maps else ""
    images = plural(max(map(len, wanted)), "image")
    return found, f"{plural(len(configs), jobs)} of {images}{done}: {total(configs, found)}"


def _of_these(runs: Runs, collection: str | None) -> Runs:
    """The runs of these images."""
    return {i: run for i, run in runs.items() if run.get("data", {}).get("collection", collection) == collection}


def _kept(config: Config, ids: list[str], runs: Runs, results: Path) -> bool:
    """Whether a cell that does something to maps finds those of all its images."""
    mapped: set[str] = set()
    for metric in (config.cfg.get("metric") or ()) if config.cfg.method.get("post") else ():
        names = config.names | {"metric": metric}
        asked = records.asked(names, config.cfg)
        made = replace(asked, method={key: value for key, value in asked.method.items() if key != "post"})
        for run in runs.values():
            if records.matches(run, names, made):
                mapped |= Maps(results, run["attribution_id"]).among(ids)
    return bool(ids) and mapped >= set(ids)


def _left(configs: list[Config], wanted: list[list[str]], runs: list[Runs], results: Path) -> list[int]:
    """How many of its images each cell lacks, going by the records of what has been run. Whether an image or the weights
    have changed since, a cell sees when it starts.
    """
    rows = load_rows(results)
    done = rows[rows["status"] == "ok"].groupby("run_id")["image_id"].agg(set).to_dict()
    left = []
    for config, ids, of_these in zip(configs, wanted, runs, strict=True):
        there, kept = set(ids) if config.cfg.get("metric") else set(), config.cfg.run.save_attributions
        for metric in config.cfg.get("metric") or ():
            names = config.names | {"metric": metric}
            asked = records.asked(names, config.cfg)
            found = [i for i, run in of_these.items() if records.matches(run, names, asked)]
            mapped = {i: Maps(results, of_these[i]["attribution_id"]).among(ids) if kept else set(ids) for i in found}
            there &= set().union(*(done.get(i, set()) & mapped[i] for i in found))
        left.append(len(ids) - len(there))
    return left
