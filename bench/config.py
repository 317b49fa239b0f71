"""Composes a configuration outside `bench.run`: for reports, tests and notebooks."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"

if not CONF.is_dir():
    raise SystemExit("error: there is no conf beside the package; install Heatproof from its folder: pip install -e .")

OmegaConf.register_new_resolver("resource", lambda name: str(ROOT / name), replace=True)  # a file of this repository
OmegaConf.register_new_resolver("join", lambda items: ",".join(str(item) for item in items), replace=True)  # a sweep


@dataclass(frozen=True)
class Config:
    """A composed configuration and the names of the files it was composed from."""

    cfg: DictConfig
    names: dict[str, str]  # {"model": "resnet50", "method": "la", "data": "imagenet"}
    overrides: list[str]  # the command line


def load(overrides: list[str]) -> Config:
    """What `python -m bench.run OVERRIDES` would run."""
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(str(error)) from error
    return Config(cfg, chosen(cfg, cfg.hydra.runtime.choices), list(overrides))


def elsewhere(overrides: list[str]) -> str:
    """The command line without what holds on this machine only."""
    return shlex.join(override for override in overrides if not override.startswith(("paths.", "data.root", "hydra")))


def flag(cfg: DictConfig, key: str) -> bool:
    """A switch; Hydra takes only true and false for one and reads `off` as a word."""
    words = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
    try:
        return words[str(cfg[key]).lower()]
    except KeyError:
        raise UserError(f"{key}={cfg[key]}: expected true or false.") from None


def chosen(cfg: DictConfig, choices: DictConfig) -> dict[str, str]:
    """The names that rows are filed under; a network that is chosen by name carries it (timm-resnet18)."""
    names = {group: choices[group] for group in ("data", "model", "method")}
    network = OmegaConf.to_container(cfg.model).get("name", names["model"])
    if network not in (names["model"], "???"):
        names["model"] += f"-{network}"
    return names
