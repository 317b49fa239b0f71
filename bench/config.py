"""Configurations: composed by Hydra, by `bench.run` or outside of it, and checked key by key."""

import copy
import functools
import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.errors import UserError
from bench.settings import settle
from bench.text import called

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
PATHS = (
    "data.root",
    "data.devkit",
    "data.subset",
    "data.path",
    "data.masks_path",
    "model.weights",
    "method.root",
    "paths.results",
)

ONE = {"data": "synthetic", "model": "tiny", "method": "ig", "compute": "default"}  # of these a run has one: such as

OmegaConf.register_new_resolver("resource", lambda name: str(ROOT / name), replace=True)  # a file of this repository
OmegaConf.register_new_resolver("join", lambda items: ",".join(str(item) for item in items), replace=True)  # a sweep


def step_of(size: int | None, order: str, steps: int) -> int:
    """Values that go at once, so that images of this size (null: 224 pixels) are done in so many steps."""
    values = (size or 224) ** 2 * (3 if order == "element" else 1)
    return -(-values // steps)


OmegaConf.register_new_resolver("step_of", step_of, replace=True)  # of a game whose number of steps is given


@dataclass(frozen=True)
class Config:
    """A composed configuration and the names of the files it was composed from."""

    cfg: DictConfig
    names: dict[str, str]  # {"model": "resnet50", "method": "la", "data": "imagenet"}
    overrides: list[str]  # the command line


def load(overrides: list[str], *, builders: bool = True) -> Config:
    """What `python -m bench.run OVERRIDES` would run. UserError: it cannot be.

    builders: whether what these take is checked too, which imports them; reports only ask for what has been run.
    """
    typed = as_typed(overrides)
    composable(typed)
    try:
        cfg = copy.deepcopy(_composed(CONF, tuple(typed)))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(str(error)) from error
    return configured(cfg, cfg.hydra.runtime.choices, overrides, builders=builders)


@functools.lru_cache(maxsize=256)
def _composed(conf: Path, overrides: tuple[str, ...]) -> DictConfig:
    """Kept, as composing takes a tenth of a second and a sweep asks twice for each cell: for the forecast and to run it."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=True)


def configured(cfg: DictConfig, choices: DictConfig, overrides: list[str], *, builders: bool = True) -> Config:
    """What Hydra composed, every value checked and in place as it is meant.  choices: {group: the name of its file}."""
    for key in PATHS:
        path = OmegaConf.select(cfg, key)
        if isinstance(path, str) and path.startswith("~"):  # what an interpolation gives stays one
            OmegaConf.update(cfg, key, os.path.expanduser(path))
    settle(cfg, builders=builders)
    return Config(cfg, chosen(cfg, choices), list(overrides))


def launch(main: Callable) -> None:
    """Run a program of Hydra's, unless all that Hydra would say is a traceback."""
    try:
        sys.argv[1:] = as_typed(sys.argv[1:])
        composable(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
    try:
        main()
    except KeyboardInterrupt:  # before there is anything to lose
        sys.exit(130)


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


def as_typed(overrides: list[str]) -> list[str]:
    """A command line in which paths and ids mean what was typed: `data.ids=[2007_000032]` is no number, and a path may
    hold what Hydra keeps for itself (`=`, `(`, `ä`). `~` is the user's folder. Options of Hydra stay as they are.

    UserError: Hydra cannot read another value; how to quote it.
    """
    return [_as_typed(override) if "=" in override and override[0] != "-" else override for override in overrides]


def _as_typed(override: str) -> str:
    key, _, value = override.partition("=")
    kind = key.lstrip("+")
    if kind in PATHS:  # before Hydra makes folders of its own under paths.results
        quote = value[: value[:1] in ("'", '"')]
        value = quote + os.path.expanduser(value.removeprefix(quote))
        override = f"{key}={value}"
    if kind == "data.ids" and value != "null" and (plain := re.fullmatch(r"""(\[?)([^\[\]"'$]*)(\]?)""", value)):
        words = [_quoted(word.strip()) for word in plain[2].split(",") if word.strip()]
        return f"{key}={plain[1]}{','.join(words)}{plain[3]}"
    try:
        read = OverridesParser.create().parse_overrides([override])[0].value()
    except OverrideParseException as error:
        if kind in PATHS:
            return f"{key}={_quoted(value)}"
        quoted = shlex.quote(f"{key}={_quoted(value)}")
        raise UserError(f"{override}: Hydra cannot read this value; as a text it is {quoted}") from error
    return f"{key}={_quoted(value)}" if kind in PATHS and isinstance(read, int | float) else override


def _quoted(text: str) -> str:
    """As Hydra's grammar has it: a backslash counts only before a quote and at the end."""
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ("\\" if found[2] else "") + found[2], text)
    return f'"{escaped}"'


def elsewhere(overrides: list[str]) -> str:
    """The command line without what holds on this machine only."""
    return shlex.join(override for override in overrides if not override.startswith(("paths.", "data.root", "hydra")))


def chosen(cfg: DictConfig, choices: DictConfig) -> dict[str, str]:
    """The names that rows are filed under; a network that is chosen by name carries it (timm-resnet18)."""
    names = {group: choices[group] for group in ("data", "model", "method")}
    network = OmegaConf.to_container(cfg.model).get("name", names["model"])
    if network not in (names["model"], "???"):
        names["model"] += f"-{called(network)}"
    return names
