"""Configurations: composed by Hydra, by `bench.run` or outside of it, and checked key by key."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.errors import UserError
from bench.settings import settle

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"

ONE = {"data": "synthetic", "model": "tiny", "method": "ig", "compute": "default"}  # of these a run has one: such as

OmegaConf.register_new_resolver("resource", lambda name: str(ROOT / name), replace=True)  # a file of this repository
OmegaConf.register_new_resolver("join", lambda items: ",".join(str(item) for item in items), replace=True)  # a sweep


@dataclass(frozen=True)
class Config:
    """A composed configuration and the names of the files it was composed from."""

    cfg: DictConfig
    names: dict[str, str]  # {"model": "resnet50", "method": "la", "data": "imagenet"}
    overrides: list[str]  # the command line


def load(overrides: list[str]) -> Config:
    """What `python -m bench.run OVERRIDES` would run. UserError: it cannot be."""
    composable(overrides)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(str(error)) from error
    return configured(cfg, cfg.hydra.runtime.choices, overrides)


def configured(cfg: DictConfig, choices: DictConfig, overrides: list[str]) -> Config:
    """What Hydra composed, every value checked and in place as it is meant.  choices: {group: the name of its file}."""
    settle(cfg)
    return Config(cfg, chosen(cfg, choices), list(overrides))


def launch(main: Callable) -> None:
    """Run a program of Hydra's, unless all that Hydra would say is a traceback."""
    try:
        composable(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
    main()


def composable(overrides: list[str]) -> None:
    """UserError: there is nothing to compose of, or a choice of one file names none or several."""
    if not CONF.is_dir():
        raise UserError("there is no conf beside the package; install Heatproof from its folder: pip install -e .")
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key in ONE and (value in ("", "null") or value.startswith("[")):
            raise UserError(
                f"{override}: expected one, such as {key}={ONE[key]}; several are a sweep: -m {key}=ONE,OTHER."
            )
        if key == "metric" and value in ("", "null"):
            raise UserError(f"{override}: expected names, such as metric=[unified,kl]; metric=[] keeps the maps alone.")


def elsewhere(overrides: list[str]) -> str:
    """The command line without what holds on this machine only."""
    return shlex.join(override for override in overrides if not override.startswith(("paths.", "data.root", "hydra")))


def chosen(cfg: DictConfig, choices: DictConfig) -> dict[str, str]:
    """The names that rows are filed under; a network that is chosen by name carries it (timm-resnet18)."""
    names = {group: choices[group] for group in ("data", "model", "method")}
    network = OmegaConf.to_container(cfg.model).get("name", names["model"])
    if network not in (names["model"], "???"):
        names["model"] += f"-{network}"
    return names
