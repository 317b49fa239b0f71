"""Networks: pixels in [0, 1] to logits, normalisation the first layer, eval mode, parameters frozen."""

import copy
import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor, nn

from bench.build import build
from bench.errors import UserError, did_you_mean
from bench.images.preprocessing import Preprocessing
from bench.networks import layers
from bench.text import a_kind
from bench.types import Images, Logits

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHARED = ("size", "resize", "interpolation", "crop", "mean", "std", "feature_layer", "confusion")  # of every model
COLOUR_SIZE = 224  # pixels, at which confusion colours are published
# In place they spare memory; but where a gradient is followed they copy their input first, which backward asks for.
COPYING = (nn.Hardtanh, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid)


@dataclass(frozen=True)
class Recipe:
    """How images were prepared for a network's weights: what a null in its settings stands for."""

    size: int
    resize: Callable[[int], int]  # for images of that size, also of another than the recipe's
    interpolation: str
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    crop: str = "center"
    down: bool = False  # see Preprocessing


@dataclass(frozen=True)
class Built:
    """What a family of networks makes of its own settings: `name`, `version`, `weights`, `net`."""

    net: nn.Module
    name: str
    weights_file: Path | None = None
    recipe: Recipe | None = None  # None: the settings say all
    confusion: list[float] | None = None  # the colour that was published of these weights
    found: Mapping[str, str] = field(default_factory=dict)  # what else makes the run another one, and no setting says
    recorded: Mapping[str, Any] = field(default_factory=dict)  # what else its record says


class Network(nn.Module):
    """A classifier with what the harness needs to know of it. It counts the passes it makes, in images."""

    def __init__(
        self,
        net: nn.Module,
        *,
        mean: tuple[float, ...] | None,
        std: tuple[float, ...] | None,
        preprocessing: Preprocessing,
        feature_layer: str | None,
        confusion: list[float] | None,
        weights_file: Path | None,
        name: str | None = None,
        found: Mapping[str, str] | None = None,
        recorded: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.net = net
        self.name = name or type(net).__name__
        self.register_buffer("mean", torch.tensor(mean or IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std or IMAGENET_STD).view(3, 1, 1))
        self.preprocessing = preprocessing
        self.feature_layer = feature_layer
        self.confusion = confusion
        self.weights_file = weights_file
        self.found, self.recorded = dict(found or {}), dict(recorded or {})
        self.forward_passes = self.backward_passes = 0
        self.engine: Callable[[Images], Logits] | None = None
        self._copying = [m for m in net.modules() if isinstance(m, COPYING) and m.inplace]
        self.eval().requires_grad_(False)

    def forward(self, x: Images) -> Logits:
        # In one layout, as rounding depends on it and batches are put together in many ways.
        x = x.contiguous(memory_format=torch.channels_last)
        logits = self.engine(x) if self.engine and self._leaves_to_engine(x) else self.eager(x)
        self.forward_passes += len(x)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)
        return logits

    def eager(self, x: Images) -> Logits:
        """By torch, layer after layer."""
        copying = self._copying if torch.is_grad_enabled() and x.requires_grad else []
        for layer in copying:
            layer.inplace = False
        try:
            return self.net((x - self.mean) / self.std)
        finally:
            for layer in copying:
                layer.inplace = True

    def hand_to(self, engine: Callable[[Images], Logits]) -> None:
        """Let this engine answer wherever nobody asks for a gradient or looks at layers."""
        self.engine, self._own_hooks = engine, self._hooks()

    def _leaves_to_engine(self, x: Images) -> bool:
        """Whether the logits of these images are all that is asked for, and they are such as the engine knows."""
        size = self.preprocessing.size
        plain = x.dtype == self.mean.dtype and x.shape[2:] == (size, size)
        followed = torch.is_grad_enabled() and x.requires_grad or torch._C._len_torch_function_stack() > 0
        return plain and not followed and self._hooks() == self._own_hooks

    def _hooks(self) -> int:
        """On layers; those that are there from the start are part of the network."""
        return sum(len(layer._forward_hooks) + len(layer._forward_pre_hooks) for layer in self.net.modules())

    def _count_backward(self, gradient: Tensor) -> None:
        self.backward_passes += len(gradient)

    def layer(self, name: str | None = None) -> nn.Module:
        """The module of that name; by default the last one that still sees where things are, for Grad-CAM."""
        name = self.layer_name(name)
        try:
            return self.net.get_submodule(name)
        except AttributeError:
            names = [n for n, _ in self.net.named_modules() if n]
            raise UserError(f"The network has no layer {name!r}.{did_you_mean(name, names)}") from None

    def layer_name(self, name: str | None = None) -> str:
        """The layer a method gets: the one it names, else model.feature_layer, else the network's own choice."""
        return name or self.feature_layer or self._last_picture.name

    def picture(self, name: str | None = None) -> layers.Layer:
        """How that layer's output is a picture. UserError where it is none."""
        name = self.layer_name(name)
        self.layer(name)
        return layers.picture(self._outputs, name, self.name)

    def digest(self) -> str:
        """sha256 of everything that was learnt: names, shapes and values."""
        sha = hashlib.sha256()
        for name, value in sorted(self.net.state_dict().items()):
            if isinstance(value, Tensor):
                sha.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                sha.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())  # type: ignore[arg-type]
            else:
                sha.update(f"{name} {_told(value, name)}".encode())
        return sha.hexdigest()

    @functools.cached_property
    def _outputs(self) -> dict[str, layers.Output]:
        """What each layer gives, seen once."""
        x = (layers.probes(self.preprocessing.size, self.mean) - self.mean) / self.std  # type: ignore[arg-type]
        net = getattr(self.net, "_orig_mod", self.net)  # as it was before it was compiled
        return layers.look(net, x.to(next(net.parameters(), x).dtype))

    @functools.cached_property
    def _last_picture(self) -> layers.Layer:
        return layers.last_picture(self._outputs, self.name)


def open_network(cfg: DictConfig) -> Network:
    """The network that `cfg` (the run's `model`) describes. What is null is as the recipe of its weights says."""
    own = copy.copy(cfg)  # a builder gets what is its family's own
    with open_dict(own):
        for key in SHARED:
            own.pop(key, None)
    built = build(own, "model")
    if not isinstance(built, Built):
        raise UserError(
            f"model._target_={cfg._target_} builds {a_kind(built)}; to run a module of yours, take "
            "conf/model/tiny.yaml and name it there as net._target_."
        )
    return assembled(built, OmegaConf.to_container(cfg, resolve=True))


def assembled(built: Built, settings: Any) -> Network:
    """What was built, with the keys of SHARED among the settings."""
    said = {key: settings.get(key) for key in SHARED}
    mean, std, colour = (_three_numbers(said, key) for key in ("mean", "std", "confusion"))
    recipe = built.recipe
    if recipe is None and (lacking := [key for key in ("size", "resize", "interpolation") if said[key] is None]):
        raise UserError(f"model.{lacking[0]} must be given for a module of yours: model.{lacking[0]}=….")
    size = _pixels(said, "size") or recipe.size
    resize = _pixels(said, "resize") or recipe.resize(size)
    crop = said["crop"] or (recipe.crop if recipe else "center")
    as_trained = recipe is not None and said["resize"] is None and size == recipe.size
    if resize < size and crop != "border" and not as_trained:
        raise UserError(
            f"model.resize={resize} is less than model.size={size}: the crop would have a black frame. Set model.resize too."
        )
    mean, std = mean or (recipe.mean if recipe else IMAGENET_MEAN), std or (recipe.std if recipe else IMAGENET_STD)  # type: ignore[assignment]
    return Network(
        built.net,
        mean=mean,  # type: ignore[arg-type]
        std=std,  # type: ignore[arg-type]
        preprocessing=Preprocessing(
            size=size,
            resize=resize,
            interpolation=said["interpolation"] or recipe.interpolation,
            crop=crop,
            down=recipe is not None and recipe.down,
            fill=tuple(round(255 * value) for value in mean) if crop == "border" else (0, 0, 0),  # type: ignore[arg-type]
        ),
        feature_layer=said["feature_layer"],
        confusion=colour or (built.confusion if _as_published(settings) else None),
        weights_file=built.weights_file,
        name=built.name,
        found=built.found,
        recorded=built.recorded,
    )


def published_colour(settings: Mapping[str, Any]) -> list[float] | None:
    """The confusion colour of a network that is yet to be opened, as far as its settings tell."""
    usual = settings.get("weights") is None and _as_published(settings)
    return settings.get("confusion") or (settings.get("published_confusion") if usual else None)


def _as_published(settings: Mapping[str, Any]) -> bool:
    """Whether images come to it as to the networks whose confusion colours were published."""
    return settings.get("size") == COLOUR_SIZE and not (settings.get("mean") or settings.get("std"))


def _pixels(said: Mapping[str, Any], key: str) -> int | None:
    value = said[key]
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise UserError(f"model.{key}={value}: expected a number of pixels, 1 or more.")
    return value


def _three_numbers(said: Mapping[str, Any], key: str) -> list[float] | None:
    value = said[key]
    numbers = isinstance(value, list) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    if value is not None and not (numbers and len(value) == 3):
        raise UserError(f"model.{key}={value}: expected three numbers, [r, g, b].")
    if value and (key == "std" and min(value) <= 0 or key == "confusion" and not 0 <= min(value) <= max(value) <= 1):
        raise UserError(f"model.{key}={value}: expected numbers {'above 0' if key == 'std' else 'from 0 to 1'}.")
    return value


def _told(value: object, name: str) -> str:
    """A state that is no tensor, in words that are the same for the same state."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_told(value[key], name)}" for key in sorted(value, key=repr)) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_told(item, name) for item in value)}]"
    if isinstance(value, Tensor):
        return f"{value.dtype} {value.tolist()}"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | torch.dtype):
        return repr(value)
    raise UserError(
        f"The network's state holds {a_kind(value)} under {name}, of which no digest can be made: keep numbers, "
        "words, lists, mappings or tensors there (get_extra_state)."
    )
