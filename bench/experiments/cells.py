"""The settings of an experiment's cells, without composing a configuration for each: the files that a cell chooses are read
once, and laid into the experiment's own configuration.

That this is the same as composing is tried on that configuration itself; where it is not (an experiment that sets groups of
its own, an override that adds or deletes), and where a cell's settings fit nothing or say `off` for false, cells are
composed and checked. Numbers are not: 5.0 steps answer for 5.
"""

import copy
import functools
from collections.abc import Iterable
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from bench.choices import file as config_file
from bench.config import Config, chosen, configured, load
from bench.experiments.plan import Cell
from bench.ranges import SWITCH
from bench.settings import AS_IF_NOT_THERE
from bench.typed import as_typed

KEPT = ("data", "compute", "run")  # as the experiment has them; a cell may change values in them
CHOSEN = ("model", "method", "metric")  # what a cell chooses
ABSENT = object()


class Cells:
    """Of the cells of one experiment.  config: as it was composed, whatever network, method and metrics that chose."""

    def __init__(self, config: Config):
        self.config = config
        # `run` unresolved: a cell that sets a seed carries those that follow it
        self.kept = {group: OmegaConf.to_container(config.cfg[group], resolve=group != "run") for group in KEPT}
        own = laid(self.kept, config.names["model"], config.names["method"], config.cfg.metric, config.overrides)
        self.exact = own is not None and all(
            OmegaConf.to_container(own[group]) == OmegaConf.to_container(config.cfg[group]) for group in CHOSEN
        )

    def of(self, cell: Cell) -> Config:
        """model, method, metric, data, compute and run of a cell, and its names."""
        overrides = [*self.config.overrides, *cell.overrides]
        cfg = self._laid(cell, overrides)
        if cfg is None:
            return load(overrides)
        return Config(cfg, chosen(cfg, self._names(cell)), overrides)

    def whole(self, cell: Cell, more: Iterable[str] = ()) -> Config:
        """What a cell is run with, checked.  more: overrides that it has besides. UserError: it cannot be run."""
        overrides = [*self.config.overrides, *cell.overrides, *more]
        cfg = self._laid(cell, overrides)
        if cfg is None:
            found = load([override for override in overrides if not override.startswith("experiment.cell=")])
            del found.cfg.hydra
            return found
        whole = copy.deepcopy(self.config.cfg)
        with open_dict(whole):
            whole.pop("hydra", None)
            whole.update({group: cfg[group] for group in (*CHOSEN, *KEPT)})
            whole.experiment.cell = None
        return configured(whole, self._names(cell), overrides)

    def _laid(self, cell: Cell, overrides: list[str]) -> DictConfig | None:
        return laid(self.kept, cell.model, cell.row.method, cell.metrics, overrides) if self.exact else None

    def _names(self, cell: Cell) -> dict[str, str]:
        return {"data": self.config.names["data"], "model": cell.model, "method": cell.row.method}


def laid(kept: dict, model: str, method: str, metrics: Iterable[str], overrides: list[str]) -> DictConfig | None:
    """The groups of a configuration; None where an override changes what is not there, or there is no such file."""
    try:
        parts = [{"model": file("model", model)}, {"method": file("method", method)}]
        parts += [{"metric": file("metric", metric)} for metric in metrics]
    except (OSError, TypeError):
        return None
    pair = config_file("pair", f"{model}_{method}")
    parts += [OmegaConf.load(pair)] if pair.exists() else []
    cfg = OmegaConf.merge(kept, *parts)
    for override in map(parsed, overrides):
        key = override.key_or_group
        group, _, name = key.partition(".")
        if group in (*CHOSEN, *KEPT) and name:
            value = override.value()
            word = isinstance(value, str) and value.lower() in SWITCH
            silent = name in AS_IF_NOT_THERE.get(group, ())  # no file of conf/ says it
            known = silent or OmegaConf.select(cfg, key, default=ABSENT) is not ABSENT
            if override.is_delete() or override.is_add() or word or not known:
                return None
            if silent and not value:
                cfg[group].pop(name, None)
            else:
                OmegaConf.update(cfg, key, value, merge=True)
    return cfg


def file(group: str, name: str) -> DictConfig:
    """A file of conf/, over those that its defaults name before `_self_`."""
    path = config_file(group, name)
    return _read(group, path, path.stat().st_mtime_ns)


@functools.cache
def _read(group: str, path: Path, written: int) -> DictConfig:
    own = OmegaConf.load(path)
    below = [other for other in own.pop("defaults", ()) if other != "_self_"]
    return OmegaConf.merge(*(file(group, other) for other in below), own)


@functools.cache
def parsed(override: str) -> Override:
    """One of a command line, as Hydra reads it."""
    return OverridesParser.create().parse_overrides(as_typed([override]))[0]
