"""A network, images, settings and a folder, and the jobs of methods on them.

A job is the command line's: the same configuration, composed and checked in the same way, in which objects at hand stand in
place of what would be built.
"""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import open_dict
from torch import Tensor, nn

from bench.config import Config, load
from bench.errors import UserError
from bench.images.source import MASKS, SELECTION
from bench.running.job import Given, Job, open_job
from bench.running.post import Processed
from bench.text import a_kind
from heatproof.__main__ import importable
from heatproof.functions import Function, function
from heatproof.images import Images, images_of
from heatproof.networks import GivenNetwork, given_network

Method = str | Callable  # "la", "ig method.steps=100", or a function


@dataclass(frozen=True)
class Case:
    """kept: rows outlive the session."""

    model: GivenNetwork | str | None
    images: Images
    settings: list[str]
    folder: Path
    kept: bool

    def job(
        self,
        method: Method,
        metrics: Sequence[str],
        *,
        save: bool = False,
        images: list[str] | None = None,
        folder: Path | None = None,
    ) -> Job:
        """Of one method.  save: its maps too.  images, folder: others than the case's."""
        own = None if isinstance(method, str) else function(method, kept=self.kept)
        words = _words(method) if isinstance(method, str) else ["sm"]
        config = load(
            [
                *(setting for setting in self.settings if _played(setting, metrics)),
                *([f"model={self.model}"] if isinstance(self.model, str) else []),
                f"method={words[0]}",
                *words[1:],
                f"metric=[{','.join(metrics)}]",
                *(["run.save_attributions=true"] if save else []),
                f"paths.results={folder or self.folder}",
            ]
        )
        return self._opened(config, own, images)

    def _opened(self, config: Config, own: Function | None, images: list[str] | None) -> Job:
        cfg, names, found = config.cfg, dict(config.names), {}
        network = made = None
        with open_dict(cfg):
            del cfg.hydra
            if isinstance(self.model, GivenNetwork):
                cfg.model, names["model"], network = self.model.settings, self.model.name, self.model.opened()
            if self.images.settings is not None:
                selection = {key: cfg.data[key] for key in (*SELECTION, *MASKS) if key in cfg.data}
                cfg.data = selection | self.images.settings | {"ids": self.images.ids}
                names["data"] = str(self.images.name)
            if images is not None:
                cfg.data.update(dict.fromkeys(SELECTION) | {"ids": images})
            if own is not None:
                post = cfg.method.get("post")
                cfg.method = own.settings | {key: cfg.method[key] for key in ("post", "stream") if key in cfg.method}
                made = Processed(own.method, tuple(post)) if post else own.method
                names["method"], found = own.name, own.found
        return open_job(Config(cfg, names, config.overrides), Given(network, self.images.source, made, found))


def case(
    model: nn.Module | str | None,
    images: Any,
    *,
    labels: Any = None,
    settings: Iterable[str] = (),
    folder: Path,
    kept: bool,
    recipe: Any = None,
    name: str | None = None,
    **said: Any,
) -> Case:
    """said: size, mean, std; settings of a command line say the rest, `model.feature_layer=layer4` among them."""
    importable()
    if isinstance(settings, str) or not isinstance(settings, Iterable):
        raise UserError(f"settings={settings!r}: expected a list, such as ['data.limit=16'].")
    _none_said_twice(settings := list(settings), model, images)
    said = {key: _plain(value) for key, value in said.items() if value is not None}
    given = images_of(images, labels)
    if given.ids is not None and (again := [s for s in settings if s.lstrip("+").startswith("data.ids=")]):
        raise UserError(f"settings holds {again[0]!r}, which the argument images says.")
    if isinstance(model, nn.Module):
        rest = [setting for setting in settings if not setting.startswith("model.")]
        said |= dict(_read(setting) for setting in settings if setting.startswith("model."))
        return Case(given_network(model, recipe, said, name), given, rest, folder, kept)
    if model is not None and not isinstance(model, str):
        raise UserError(f"model is {a_kind(model)}: expected a torch module, or a name as in model=resnet50.")
    if recipe is not None or name is not None:
        raise UserError("recipe and name are of a torch module; a network by name has its own.")
    return Case(
        model,
        given,
        [*settings, *(f"model.{key}={value}" for key, value in said.items())],
        folder,
        kept,
    )


def _words(method: str) -> list[str]:
    """A name and settings, as on a command line. UserError: none."""
    try:
        words = shlex.split(method)
    except ValueError as error:
        raise UserError(f"method {method!r}: {str(error).lower()}.") from error
    if not words:
        raise UserError("a method has no name; expected one such as 'la' or 'ig method.steps=100'.")
    return words


def _plain(value: Any) -> Any:
    """As a yaml has it."""
    value = value.tolist() if isinstance(value, Tensor | np.ndarray | np.generic) else value
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def _none_said_twice(settings: list[str], model: Any, images: Any) -> None:
    """UserError: no setting, or one that an argument says."""
    said = {"method": "methods", "metric": "metrics", "paths.results": "folder"}
    said |= {
        group: name
        for group, name, value in (("model", "model", model), ("data", "images", images))
        if value is not None
    }
    for setting in settings:
        if not isinstance(setting, str) or "=" not in setting and setting[:1] != "~":
            raise UserError(f"settings holds {setting!r}: expected KEY=VALUE, such as 'data.limit=16'.")
        if argument := said.get(setting.lstrip("+").partition("=")[0]):
            raise UserError(f"settings holds {setting!r}, which the argument {argument} says.")


def _played(setting: str, metrics: Sequence[str]) -> bool:
    """Not a setting of a metric that is left out here."""
    group, _, rest = setting.lstrip("+").partition(".")
    return group != "metric" or rest.partition(".")[0] in metrics


def _read(setting: str) -> tuple[str, Any]:
    """("size", 64) of model.size=64."""
    read = OverridesParser.create().parse_overrides([setting])[0]
    return read.key_or_group.removeprefix("model."), read.value()
