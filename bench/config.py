"""Configurations: composed by Hydra, by `bench.run` or outside of it, and checked key by key."""

import copy
import functools
import itertools
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from bench.choices import CODE, CONF, ROOT, SEE, files, named, own, stamps, unmistaken
from bench.errors import UserError, did_you_mean
from bench.settings import settle
from bench.text import called
from bench.typed import PATHS, as_typed, with_own

USUAL_SIZE = 224  # pixels of a side, where nobody says how many
SWEEP = ("-m", "--multirun")
HELP = ("-h", "--help")
MANY = ("metric", "experiment")  # groups of which a run may have several, or none
ONE = {"data": "synthetic", "model": "tiny", "method": "ig", "compute": "default"}  # of these a run has one: such as


def resource(name: str) -> str:
    """A file of this repository, wherever it was installed to."""
    return str(ROOT / name if (ROOT / name).exists() else CODE / name)


OmegaConf.register_new_resolver("resource", resource, replace=True)
OmegaConf.register_new_resolver("join", lambda items: ",".join(str(item) for item in items), replace=True)  # a sweep


def step_of(size: int | None, order: str, steps: int) -> int:
    """Values that go at once, so that images of this size (null: USUAL_SIZE) are done in so many steps."""
    values = (size or USUAL_SIZE) ** 2 * (3 if order.startswith("element") else 1)
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
    typed = with_own(as_typed(overrides))
    composable(typed)
    cfg = composed(typed)
    return configured(cfg, cfg.hydra.runtime.choices, overrides, builders=builders)


def composed(words: list[str]) -> DictConfig:
    """What Hydra makes of a command line. UserError: nothing, and which word is to blame."""
    try:
        return copy.deepcopy(_composed(CONF, tuple(words), stamps()))
    except Exception as error:  # of Hydra's, of OmegaConf's and what reading yamls raises
        raise UserError(_why(error, words)) from error


def _why(error: Exception, words: list[str]) -> str:
    said = " ".join(str(error).split())
    if unknown := re.match(r"Could not override '(?:\w+@)?([^']+)'", said):
        return _no_such_key(unknown[1], words)
    for k, word in enumerate(words):
        if said.startswith("Ambiguous value") and f"'{word}'" in said:
            key, _, value = word.partition("=")
            a_list = "" if key in ONE else f"; a list is {key}=[{value}]"
            return f"{word}: several are a sweep, -m {word}{a_list}."
        try:
            _composed(CONF, (*words[:k], *words[k + 1 :]), stamps())
        except Exception:  # without this word it cannot be either
            continue
        return f"{word}: {str(error).splitlines()[0]}"
    return said


def _no_such_key(key: str, words: list[str]) -> str:
    """With what there is instead, as far as choices of files tell."""
    named = [word.lstrip("+").partition("=")[0].partition("@")[0] for word in words]
    kept = [name == "hydra.searchpath" or (CONF / name).is_dir() for name in named]  # the others may be unknown as well
    tree: object = OmegaConf.to_container(
        _composed(CONF, tuple(itertools.compress(words, kept)), stamps()), resolve=False
    )
    place: list[str] = []
    for part in re.split("[./]", key):
        known = [str(name) for name in tree] if isinstance(tree, dict) else []
        if part not in known:
            takes = [name for name in known if not name.startswith("_")]
            has = f" {'.'.join(place)} has {', '.join(takes) or 'no keys'}." if place else ""
            meant = [f"{group}.{key}" for group in known if isinstance(tree[group], dict) and key in tree[group]]  # type: ignore[index]
            hint = f" Did you mean {', '.join(meant)}?" if meant else did_you_mean(part, known) or has
            return f"{key}: there is no such key.{hint}"
        place, tree = [*place, part], tree[part]  # type: ignore[index]
    return f"{key}: there is no such key. Did you mean {'.'.join(place)}?"


@functools.lru_cache(maxsize=256)
def _composed(conf: Path, overrides: tuple[str, ...], stamps: tuple) -> DictConfig:
    """Kept, as composing takes a tenth of a second and a sweep asks twice for each cell: for the forecast and to run it.

    stamps: of the user's own files, which may change meanwhile.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=True)


def configured(cfg: DictConfig, choices: DictConfig, overrides: list[str], *, builders: bool = True) -> Config:
    """What Hydra composed, every value checked and in place as it is meant.  choices: {group: the name of its file}."""
    for key in PATHS:
        path = OmegaConf.select(cfg, key)
        if isinstance(path, str) and path.startswith("~"):  # what an interpolation gives stays one
            OmegaConf.update(cfg, key, os.path.expanduser(path))
    unmistaken(choices, cfg.get("metric") or ())
    settle(cfg, builders=builders)
    return Config(cfg, chosen(cfg, choices), list(overrides))


def launch(main: Callable) -> None:
    """Run a program of Hydra's, unless all that Hydra would say is a traceback."""
    try:
        flags, words = ([w for w in sys.argv[1:] if (w in SWEEP) is first] for first in (True, False))
        sys.argv[1:] = with_own([*flags, *as_typed(words)])
        composable(sys.argv[1:])
        given = sys.argv[1 + len(flags) :]
        overrides = [word for word in given if word not in HELP]
        if not any(word.startswith("-") for word in overrides):  # of Hydra's, which may take a word without =
            _all_set_something(overrides)
            first = _first_cell(overrides) if flags else overrides
            if first is not None:
                composed(first)
                if overrides != given:  # Hydra's help, which is of one run
                    sys.argv[1:] = [HELP[0], *first]
    except UserError as error:
        sys.exit(f"error: {error}")
    try:
        main()
    except KeyboardInterrupt:  # before there is anything to lose
        sys.exit(130)


def _all_set_something(words: list[str]) -> None:
    """UserError: one does not."""
    for word in words:
        if "=" not in word and not word.startswith("~"):
            raise UserError(f"{word}: expected KEY=VALUE, such as method=ig.")


def _first_cell(words: list[str]) -> list[str] | None:
    """A sweep's command line with the first of each word's values; None: some sweeper alone knows them (`interval`).
    UserError: there are none.
    """
    read = OverridesParser.create().parse_overrides(words)
    try:
        return [_first_value(word, given) for word, given in zip(read, words, strict=True)]
    except HydraException:
        return None


def _first_value(word: Override, given: str) -> str:
    if not word.is_sweep_override():
        return given
    key, value = word.get_key_element(), word.value()
    if isinstance(value, Glob):
        names = value.filter(list(files(word.key_or_group)))
        if not names:
            raise UserError(f"{given}: no {word.key_or_group} has such a name.{SEE.get(word.key_or_group, '')}")
        return f"{key}={names[0]}"
    return f"{key}={next(word.sweep_string_iterator())}"


def composable(overrides: list[str]) -> None:
    """UserError: there is nothing to compose of, or a choice of one file names none or several."""
    if not CONF.is_dir():
        raise UserError(f"there is no {CONF}: install Heatproof anew, pip install . in its folder.")
    place = own()
    theirs = "hydra.searchpath=", "--config-dir", "-cd"  # places for yamls beside ours and the working folder's
    more = any(word.startswith(theirs) and not (place and str(place) in word) for word in overrides)
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if override.startswith("~") and key[1:] in ONE:
            raise UserError(f"{override}: a run has one, such as {key[1:]}={ONE[key[1:]]}.")
        if key in ONE and (value in ("", "null") or value.startswith("[")):
            raise UserError(
                f"{override}: expected one, such as {key}={ONE[key]}; several are a sweep: -m {key}=ONE,OTHER."
            )
        if key == "metric" and value in ("", "null"):
            raise UserError(f"{override}: expected names, such as metric=[unified,kl]; metric=[] keeps the maps alone.")
        if (key in ONE or key in MANY) and not more:
            named(key, value)


def chosen(cfg: DictConfig, choices: DictConfig) -> dict[str, str]:
    """The names that rows are filed under; a network that is chosen by name carries it (timm-resnet18)."""
    names = {group: choices[group] for group in ("data", "model", "method")}
    network = OmegaConf.to_container(cfg.model).get("name", names["model"])
    if network not in (names["model"], "???"):
        names["model"] += f"-{called(network)}"
    return names
