"""A torch module at hand as a network of the harness: how its images are prepared is read from where it says so.

timm's modules carry their recipe, transformers' have a processor, torchvision's weights have transforms; of any other, mean,
std and size are given. If what a command line would build under the same settings is this very module, layer by layer, the
run is that command line's; else the module's structure is part of the run's identity.
"""

import copy
import functools
import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models

from bench.errors import UserError
from bench.networks import from_huggingface, from_timm, from_torchvision
from bench.networks.layers import probes
from bench.networks.network import Built, Network, Recipe, assembled
from bench.networks.weights import first_line, seeded
from bench.ranges import checked
from bench.settings import Model
from bench.store import code
from bench.text import a_kind, called
from heatproof.origin import importable, kept, structure

GIVEN = "given in Python"  # stands in a record where a file of weights would
SAID = dict.fromkeys(
    ("size", "resize", "interpolation", "mean", "std", "feature_layer", "confusion")
)  # of every network


@dataclass(frozen=True)
class GivenNetwork:
    """A module and all that a configuration would say of it."""

    net: nn.Module
    name: str  # what rows are filed under
    settings: dict[str, Any]  # as a yaml of conf/model has them
    built: Built

    def opened(self) -> Network:
        """A copy: the module itself stays as it is, in training or not, wherever it lies."""
        return assembled(replace(self.built, net=copied(self.net)), self.settings)


@dataclass(frozen=True)
class _Family:
    """settings: the family's own.  again: builds what a command line would; None: none can."""

    settings: dict[str, Any]
    name: str
    recipe: Recipe | None
    again: Callable[[], nn.Module] | None
    found: dict[str, str]


def given_network(net: nn.Module, recipe: Any, said: Mapping[str, Any], name: str | None = None) -> GivenNetwork:
    """recipe: torchvision's weights, or a processor of transformers; None: read from the module.

    said: size, mean, std and other keys of conf/model.  name: what its rows are filed under. UserError: nobody says how its
    images are prepared.
    """
    _plain(net)
    family = _family(net, recipe)
    known = SAID | {key: None for key in ("crop",) if key in family.settings}
    if strange := said.keys() - known.keys():
        raise UserError(f"model: such a network has no {', '.join(sorted(strange))}; there are {', '.join(known)}.")
    said = checked(Model, said, "model")
    if family.recipe is None:
        if lacking := [key for key in ("size", "mean", "std") if said.get(key) is None]:
            raise UserError(
                f"{type(net).__name__} does not say how its images are prepared: give {' and '.join(lacking)}, as its "
                "training had them (mean=[0, 0, 0], std=[1, 1, 1] where it normalises by itself), or "
                "recipe=ResNet50_Weights.IMAGENET1K_V1, say, for weights of torchvision's."
            )
        said = {"resize": said["size"], "interpolation": "bilinear"} | said
    inner = from_huggingface.Classifier(net) if family.settings["_target_"].endswith("huggingface_network") else net
    settings = family.settings | SAID | said
    size: Any = said.get("size") or getattr(family.recipe, "size", None)
    found = family.found | _besides(inner, family, size)
    built = Built(inner, name=called(family.name), recipe=family.recipe, found=found)
    return GivenNetwork(inner, name or called(family.name), settings, built)


def _plain(net: nn.Module) -> None:
    """UserError: a module of which layers cannot be followed, or have no weights yet."""
    if isinstance(net, torch.jit.ScriptModule):
        raise UserError(
            "model is a TorchScript module, whose layers nobody can follow: give the module it was made from."
        )
    if isinstance(net, nn.Module) and (shapeless := [where for where, p in net.named_parameters() if is_lazy(p)]):
        raise UserError(
            f"{type(net).__name__} does not know the shape of {shapeless[0]} yet: show it an image before, model(x)."
        )


def copied(net: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(net)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UserError(
            f"{type(net).__name__} cannot be copied, and is not to be changed ({first_line(error)}): give one whose "
            "layers keep no results of a pass."
        ) from error


def _besides(net: nn.Module, family: _Family, size: int) -> dict[str, str]:
    """What tells this module from what a command line would build; nothing if it is the same."""
    aside = _changing(net, size)
    mine = structure(net, aside)
    same = family.again is not None and _structure(family.again, aside) == mine
    return {} if same else {"module": hashlib.sha256(mine.encode()).hexdigest()[:16]}


def _changing(net: nn.Module, size: int) -> set[str]:
    """What of a network (origin.kept) a pass changes."""
    tried = copied(net).eval()
    before = kept(tried)
    like = next((p for p in tried.parameters() if p.is_floating_point()), torch.zeros(1))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            tried(probes(size, like))
    except (Exception, SystemExit):  # what is wrong of it is said when it is opened
        pass
    after = kept(tried)
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def _structure(again: Callable[[], nn.Module], aside: set[str]) -> str | None:
    """None: it cannot be built, whatever its constructor raises; then no command line builds it."""
    for device in ("meta", "cpu"):  # the first takes no time and no memory, and is not for everyone
        try:
            with torch.device(device), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return structure(seeded(again), aside)
        except Exception:
            continue
    return None


def _family(net: nn.Module, recipe: Any) -> _Family:
    if not isinstance(net, nn.Module):
        raise UserError(f"model is {a_kind(net)}: expected a torch module, or a name as in model=resnet50.")
    kind = type(net)
    if isinstance(recipe, WeightsEnum):
        return _torchvision(recipe)
    if kind.__module__.startswith("transformers.") or hasattr(recipe, "image_mean"):
        return _transformers(net, recipe)
    if recipe is not None:
        raise UserError(f"recipe is {a_kind(recipe)}: expected weights of torchvision's, or an image processor.")
    if kind.__module__.startswith("timm.") and getattr(net, "pretrained_cfg", None):
        return _timm(net)
    where = importable(kind)
    built = {"_target_": where or f"in_python.{kind.__name__}", "_partial_": True}
    settings = {"_target_": "bench.networks.own.network", "net": built, "weights": GIVEN}
    return _Family(settings, kind.__name__, None, kind if where and not code.installed(where) else None, {})


def _timm(net: Any) -> _Family:
    import timm

    said = net.pretrained_cfg
    name = f"{said['architecture']}.{said['tag']}" if said.get("tag") else said["architecture"]
    settings = {"_target_": "bench.networks.from_timm.timm_network", "name": name, "weights": GIVEN, "crop": None}
    again = functools.partial(timm.create_model, name, pretrained=False)
    return _Family(settings, f"timm-{name}", from_timm.recipe_of(net, name), again, {})


def _torchvision(weights: WeightsEnum) -> _Family:
    name = next((n for n in list_models() if type(weights) is get_model_weights(n)), None)
    if name is None:
        raise UserError(f"recipe={weights}: these are weights of no classifier.")
    settings = {
        "_target_": "bench.networks.from_torchvision.torchvision_network",
        "name": name,
        "version": weights.name,
    }
    again = functools.partial(get_model, name, weights=None, **from_torchvision.as_for(weights, name, drawn=False))
    of_weights = {"weights": GIVEN, "published_confusion": None}
    return _Family(settings | of_weights, f"torchvision-{name}", from_torchvision.recipe_of(weights), again, {})


def _transformers(net: Any, processor: Any) -> _Family:
    place = getattr(net.config, "_name_or_path", "")
    name = place or type(net).__name__
    if processor is None and place:
        processor = _processor(place)
    recipe = None
    if processor is not None:
        recipe = from_huggingface.read(processor, name)
        from_huggingface.agree(processor, recipe, name)

    def again() -> nn.Module:
        return from_huggingface.Classifier(type(net)(net.config))

    settings = {"_target_": "bench.networks.from_huggingface.huggingface_network", "name": name, "revision": None}
    found = {"recipe": from_huggingface.told(recipe)} if recipe else {}
    of_weights = {"weights": GIVEN, "crop": None}
    return _Family(settings | of_weights, f"hf-{called(name)}", recipe, again if place else None, found)


def _processor(place: str) -> Any:
    """What prepares the images of a network that was read from there; None: it has none."""
    import transformers

    try:
        return transformers.AutoImageProcessor.from_pretrained(place, local_files_only=Path(place).is_dir())
    except (OSError, ValueError):
        return None
