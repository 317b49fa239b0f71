"""Experiments: a table's rows, and the cells that rows and networks make.

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
    set: {metric.unified.step: 5376}         settings of all rows; those of a metric that is not played are passed over
    published: {raster: eg}                  the printed rows of methods that say no more than their name

An experiment that asks how far its numbers depend on something has `variants`, each a row more of some of its rows:

    variants:
      - {name: seed 1, of: [la, agi], set: {run.seed: 1}, metrics: [unified]}      rows "la, seed 1" and "agi, seed 1"

`of`: methods, all if it is not there; `metrics`: of these rows alone, which rows themselves can say too.

Where both are given, `methods` says which rows are wanted: experiment.methods=[sm,ig] narrows any table, or widens it by
methods that it does not have. `controls: [random, raster]` are rows of every table whose methods are not named: maps
without content, below the others. A row stands beside the printed row of its method, unless another row claims that by name.

A cell is one row on one network. Cells are numbered; `experiment.cell` is what Hydra sweeps, with any launcher.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

from omegaconf import DictConfig, OmegaConf

from bench.choices import file
from bench.config import Config
from bench.errors import UserError

KEYS = {"method", "label", "set", "per_model", "published", "metrics"}
VARIANT = {"name", "of", "set", "metrics"}


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    method: str
    label: str
    settings: Mapping[str, object] = field(default_factory=dict)  # {"method.copies": 10}
    per_model: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # {network: more of them}
    published: Mapping[str, str] | None = None  # method, param, param_value of the printed row
    metrics: tuple[str, ...] | None = None  # None: the experiment's


@dataclass(frozen=True)
class Cell:
    """One row on one network, and what the command line has to say to get it."""

    row: Row
    model: str
    metrics: tuple[str, ...]
    overrides: list[str]


def rows(plan: Mapping) -> list[Row]:
    """A table's rows, in its order.  plan: the node `experiment`. UserError: a key that no row has, a label twice."""
    plan = OmegaConf.to_container(plan, resolve=True) if isinstance(plan, DictConfig) else plan  # type: ignore[assignment]
    specs = [{"method": row} if isinstance(row, str) else row for row in plan.get("rows") or []]
    renamed = plan.get("published") or {}
    claimed = {*renamed.values(), *(spec["method"] for spec in specs if isinstance(spec.get("published"), dict))}
    claimed |= {spec["published"] for spec in specs if isinstance(spec.get("published"), str)}
    specs += [{"method": name} for name in plan.get("controls") or [] if name not in {spec["method"] for spec in specs}]
    specs = [row for spec in specs for row in _varied(spec)]
    specs += [_variant(spec, variant) for variant in plan.get("variants") or [] for spec in specs if _of(spec, variant)]
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
    metrics = tuple(spec["metrics"]) if spec.get("metrics") else None
    return Row(method, spec.get("label", method), spec.get("set") or {}, spec.get("per_model") or {}, beside, metrics)


def _of(spec: dict, variant: dict) -> bool:
    """Whether the variant has this row. UserError: a key that no variant has."""
    if strange := set(variant) - VARIANT:
        raise UserError(
            f"experiment.variants: no variant has {', '.join(sorted(map(str, strange)))}; there are "
            f"{', '.join(sorted(VARIANT))}."
        )
    return spec["method"] in (variant.get("of") or [spec["method"]])


def _variant(spec: dict, variant: dict) -> dict:
    own = {key: variant[key] for key in ("metrics",) if variant.get(key)}
    settings = {**(spec.get("set") or {}), **(variant.get("set") or {})}
    label = f"{spec.get('label', spec['method'])}, {variant['name']}"
    return {**spec, **own, "label": label, "set": settings, "published": None}


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


def cells(plan: Mapping, table: list[Row] | None = None) -> list[Cell]:
    """Every row on every network, one network after the other, each with all metrics.  table: rows(plan), if at hand."""
    table = rows(plan) if table is None else table
    of_all, per_model, steps = plan.get("set") or {}, plan.get("per_model") or {}, plan.get("steps")
    shared = {model: {**of_all, **per_model.get(model, {})} for model in plan["models"]}
    return [
        _cell(row, model, list(row.metrics or plan["metrics"]), shared[model], steps)
        for model in plan["models"]
        for row in table
    ]


def _cell(row: Row, model: str, metrics: list[str], shared: Mapping[str, object], steps: int | None) -> Cell:
    settings = {**shared, **row.settings, **row.per_model.get(model, {})}
    settings = {key: value for key, value in settings.items() if _played(key, metrics)}
    chosen = [f"model={model}", f"method={row.method}", f"metric=[{','.join(metrics)}]"]
    if steps:  # in so many, whatever the size of the images
        chosen += [f"metric.{name}.step={_step(name, steps)}" for name in metrics if _steps(name)]
    return Cell(row, model, tuple(metrics), chosen + [f"{key}={_said(value)}" for key, value in settings.items()])


def _step(metric: str, steps: int) -> str:
    """bench.config.step_of of the cell's own network and order."""
    return f'"${{step_of:${{model.size}},${{metric.{metric}.order}},{steps}}}"'


@functools.cache
def _steps(metric: str) -> bool:
    """Whether it is a game that goes in steps."""
    path = file("metric", metric)
    return path.exists() and isinstance(of := OmegaConf.load(path), DictConfig) and "step" in of[metric]


def _said(value: object) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _played(key: str, metrics: list[str]) -> bool:
    group, _, rest = key.partition(".")
    return group != "metric" or rest.partition(".")[0] in metrics


def images(config: Config) -> list[str]:
    """What a cell says of its images beside the command line. A sample is drawn of large sources only, unless the command
    line says of which size; of images that it names none is left out.
    """
    data = config.cfg.data
    if data.ids is not None or data.subset is not None:
        return [] if any(o.startswith("data.limit=") for o in config.overrides) else ["data.limit=null"]
    size = config.cfg.experiment.sample.get(config.names["data"])
    return [f"data.sample={size}"] if data.sample is None and size else []


def _numbers(experiment: DictConfig) -> str:
    return ",".join(str(k) for k in range(len(cells(experiment))))


OmegaConf.register_new_resolver("cells", _numbers, replace=True)  # a sweep over all cells of an experiment
