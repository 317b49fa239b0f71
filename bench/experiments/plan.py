"""Experiments: a table's rows, the cells that rows and networks make, and their sweep.

An experiment (conf/experiment/*.yaml) names networks, metrics and rows. A row is a method, or a method with settings:

    methods: [ig, sm]                    the short form: a row each
    rows:
      - sm                               a method
      - method: attexplore
        label: N = 10                    what the table calls it; default: the method
        set: {method.copies: 10}         its settings
        per_model: {resnet50: {method.layer: layer3}}    more of them, on one network
        published: {param: N, param_value: 10}       the printed row that it stands beside: method, param, param_value
      - {method: attexplore, vary: {method.copies: [10, 20]}, param: N}      a row for each value: N = 10, N = 20
    published: {raster: eg}                  the printed rows of methods that say no more than their name

Where both are given, `methods` says which rows are wanted: experiment.methods=[sm,ig] narrows any table, or widens it by
methods that it does not have. A row stands beside the printed row of its method, unless another row claims that by name.

A cell is one row on one network. Cells are numbered; `experiment.cell` is what Hydra sweeps, with any launcher.
"""

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from bench.config import Config, configured, load
from bench.errors import UserError
from bench.images.preprocessing import Preprocessing
from bench.images.source import Source, open_source
from bench.report import means
from bench.running.forecast import USUAL_SIZE, total
from bench.running.job import shard
from bench.store import records
from bench.text import plural

CHOSEN = {"model": "models", "method": "methods", "metric": "metrics"}  # the experiment says these, not the command
KEYS = {"method", "label", "set", "per_model", "published"}


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    method: str
    label: str
    settings: Mapping[str, object] = field(default_factory=dict)  # {"method.copies": 10}
    per_model: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # {network: more of them}
    published: Mapping[str, str] | None = None  # method, param, param_value of the printed row


@dataclass(frozen=True)
class Cell:
    """One row on one network, and what the command line has to say to get it."""

    row: Row
    model: str
    overrides: list[str]


def rows(plan: Mapping) -> list[Row]:
    """A table's rows, in its order.  plan: the node `experiment`. UserError: a key that no row has, a label twice."""
    plan = OmegaConf.to_container(plan, resolve=True) if isinstance(plan, DictConfig) else plan
    specs = [{"method": row} if isinstance(row, str) else row for row in plan.get("rows") or []]
    renamed = plan.get("published") or {}
    claimed = {*renamed.values(), *(spec["method"] for spec in specs if isinstance(spec.get("published"), dict))}
    claimed |= {spec["published"] for spec in specs if isinstance(spec.get("published"), str)}
    specs = [row for spec in specs for row in _varied(spec)]
    if wanted := plan.get("methods"):
        specs = [s for name in wanted for s in [s for s in specs if name in (s["method"], s.get("label"))] or [name]]
        specs = [{"method": spec} if isinstance(spec, str) else spec for spec in specs]
    found = [_row(spec, renamed, claimed) for spec in specs]
    labels = [row.label for row in found]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise UserError(
            f"experiment: several rows are called {', '.join(sorted(twice))}; give each a label of its own."
        )
    return found


def printed(plan: Mapping) -> dict[str, Mapping[str, str] | None]:
    """{row: the printed one that it stands beside, or None}."""
    return {row.label: row.published for row in rows(plan)}


def _row(spec: dict, renamed: Mapping[str, str], claimed: set[str]) -> Row:
    if strange := set(spec) - KEYS:
        raise UserError(
            f"experiment.rows: no row has {', '.join(sorted(map(str, strange)))}; there are {', '.join(sorted(KEYS))}."
        )
    method = spec["method"]
    beside = spec.get("published", renamed.get(method, None if method in claimed else method))
    beside = {"method": beside} if isinstance(beside, str) else beside
    if beside is not None:
        beside = {key: str(value) for key, value in ({"method": method} | beside).items()}
    return Row(method, spec.get("label", method), spec.get("set") or {}, spec.get("per_model") or {}, beside)


def _varied(spec: dict) -> list[dict]:
    """A row for each value of what it varies, or for each pair, called as the paper calls it (param: N, or M;T)."""
    vary = spec.get("vary")
    if not vary:
        return [spec]
    rest = {key: value for key, value in spec.items() if key not in ("vary", "param")}
    rows = []
    for values in product(*vary.values()):
        shown = [f"{value:g}" for value in values]
        label = ", ".join(f"{name} = {value}" for name, value in zip(spec["param"].split(";"), shown, strict=True))
        printed = {"param": spec["param"], "param_value": ";".join(shown)}
        settings = {**spec.get("set", {}), **dict(zip(vary, values, strict=True))}
        rows.append({**rest, "set": settings, "label": label, "published": printed})
    return rows


def cells(plan: Mapping) -> list[Cell]:
    """Every row on every network, one network after the other, each with all metrics."""
    return [_cell(row, model, plan["metrics"]) for model in plan["models"] for row in rows(plan)]


def _cell(row: Row, model: str, metrics: list[str]) -> Cell:
    settings = {**row.settings, **row.per_model.get(model, {})}
    chosen = [f"model={model}", f"method={row.method}", f"metric=[{','.join(metrics)}]"]
    return Cell(row, model, chosen + [f"{key}={value}" for key, value in settings.items()])


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
    return composed(config, numbered[plan.cell])


def composed(config: Config, cell: Cell) -> Config:
    """The configuration of a cell. A sample is drawn of large sources only, unless the command line says of which size;
    of images that it names none is left out.
    """
    data, images = config.cfg.data, []
    if data.ids is not None or data.subset is not None:
        images = [] if any(o.startswith("data.limit=") for o in config.overrides) else ["data.limit=null"]
    elif data.sample is None and (size := config.cfg.experiment.sample.get(config.names["data"])):
        images = [f"data.sample={size}"]
    found = load([*config.overrides, *cell.overrides, *images])
    del found.cfg.hydra
    return Config(found.cfg, found.names, config.overrides)


class Announcement(Callback):
    """Says before a sweep starts what the whole of it costs."""

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        if config.experiment.cell is not None:  # one cell speaks for itself
            return
        print(f"{config.experiment.title}.", file=sys.stderr)
        try:
            task = list(config.hydra.overrides.task)
            print(_cost(configured(config, config.hydra.runtime.choices, task)), file=sys.stderr)
        except UserError:
            return  # the first cell will say what is wrong
        except Exception as error:  # a forecast is no reason not to run
            print(f"No forecast: {error}", file=sys.stderr)


def _cost(config: Config) -> str:
    configs = [composed(config, cell) for cell in cells(config.cfg.experiment)]
    first = configs[0].cfg

    @functools.cache
    def opened(size: int) -> tuple[Source, list[str]]:
        return open_source(first.data, Preprocessing(size, size), first.run.seed)

    source, ids = opened(first.model.size or USUAL_SIZE)
    ids = shard(ids, first.run.shard)
    left = _left(configs, ids, getattr(source, "collection", None))
    images = len(ids) * len(configs)
    there = f", {images - sum(left):,} of the {images:,} there already" if sum(left) < images else ""
    return f"{plural(len(configs), 'cell')} of {plural(len(ids), 'image')}{there}: " + total(
        configs, lambda size: opened(size)[0], left
    )


def _left(configs: list[Config], ids: list[str], collection: str | None) -> list[int]:
    """How many images each cell lacks, going by the records of what has been run. Whether an image or the weights have
    changed since, a cell sees when it starts.
    """
    results = Path(configs[0].cfg.paths.results)
    runs, rows = means.load_runs(results), means.load_rows(results)
    runs = {i: run for i, run in runs.items() if run.get("data", {}).get("collection", collection) == collection}
    done = rows[(rows["status"] == "ok") & rows["image_id"].isin(ids)].groupby("run_id")["image_id"].agg(set).to_dict()
    left = []
    for config in configs:
        there, kept = set(ids) if config.cfg.get("metric") else set(), config.cfg.run.save_attributions
        for metric in config.cfg.get("metric") or ():
            names = config.names | {"metric": metric}
            found = [i for i, run in runs.items() if records.matches(run, names, config.cfg)]
            there &= set().union(*(done.get(i, set()) & (_maps(results, runs[i]) if kept else set(ids)) for i in found))
        left.append(len(ids) - len(there))
    return left


def _maps(results: Path, run: dict) -> set[str]:
    return {file.stem for file in (results / "attributions" / str(run.get("attribution_id"))).glob("*.npy")}


def _numbers(experiment: DictConfig) -> str:
    return ",".join(str(k) for k in range(len(cells(experiment))))


OmegaConf.register_new_resolver("cells", _numbers, replace=True)  # a sweep over all cells of an experiment
