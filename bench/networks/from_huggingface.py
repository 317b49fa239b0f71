"""Hugging Face's image classifiers (transformers), by the hub's id or from a folder, prepared as their own processors do it.

A processor is read, and what was read is tried: on pictures of several shapes our pixels must be the processor's own, or
the network is refused. Resampling is Pillow's, as in the processors that come with most checkpoints; torchvision's, which
transformers takes where it can, rounds a few pixels to the next grey level.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bench.errors import UserError
from bench.images.preprocessing import Preprocessing
from bench.networks.network import Built, Recipe
from bench.networks.weights import DOWNLOAD_ERRORS, first_line, load, seeded
from bench.text import called

RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # by Pillow's number
SQUASHED_FROM = 384  # pixels: where processors with a crop_pct keep all of the picture, out of proportion
SHAPES = ((2.3, 1.4), (1.1, 1.9), (0.7, 0.7))  # of the pictures that are tried, in sizes of the network's
GREY_LEVELS = 4  # of 255: more than Pillow's resampling and torchvision's are apart


class Classifier(nn.Module):
    """A classifier of transformers as a module from normalised images to logits."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to logits [B, C]."""
        return self.net(pixel_values=x).logits


def huggingface_network(*, name: str, revision: str | None, weights: str | None) -> Built:
    """name: an id of the hub or a folder, in which case nothing is fetched.  revision: of the hub; null: its newest."""
    transformers = _transformers()
    place = str(Path(name).expanduser()) if name.startswith("~") else name
    at: dict[str, Any] = {"trust_remote_code": False}  # said, so that nobody is asked
    if revision:
        at["revision"] = revision
    if Path(place).is_dir() and revision:
        raise UserError(f"model.revision={revision} is of the hub, and {name} is a folder: leave it out.")
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(place, **at)
        config = transformers.AutoConfig.from_pretrained(place, **at)
        net = _built(transformers, config, place, at, weights, name)
    except (*DOWNLOAD_ERRORS, KeyError, ImportError) as error:
        raise UserError(_not_there(name, place, error)) from error
    classifier = Classifier(net)
    file = load(net, weights, name) if weights else _only_file(place)
    recipe = read(processor, name)
    agree(processor, recipe, name)
    names = _class_names(config)
    return Built(
        classifier,
        name=called(name),
        weights_file=file,
        recipe=recipe,
        found={"recipe": told(recipe)},
        recorded={
            "revision": getattr(config, "_commit_hash", None),  # the commit, whatever was asked for
            "transformers": transformers.__version__,
            **({"classes": names} if names else {}),
        },
    )


def _transformers() -> ModuleType:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise UserError(
            f"transformers could not be imported ({error}): pip install 'transformers>=5' (or \"heatproof[hf]\")."
        ) from error


def _built(
    transformers: ModuleType, config: Any, place: str, at: Mapping[str, Any], weights: str | None, name: str
) -> nn.Module:
    """The module, filled unless weights are given elsewhere; its initial weights are the same every time."""
    family = transformers.AutoModelForImageClassification
    if type(config) not in family._model_mapping:
        raise UserError(f"{name} is a {config.model_type}, which transformers has no image classifier of.")
    if weights is not None:
        return seeded(lambda: family.from_config(config)).float()
    loaded: Any = seeded(
        lambda: family.from_pretrained(place, **at, config=config, dtype=torch.float32, output_loading_info=True)
    )
    net, report = loaded
    if lacking := sorted([*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]):
        raise UserError(
            f"{name} has no weights for {lacking[0]}, and random ones would take their place: it is no classifier as it "
            "stands. Name one that was fine-tuned."
        )
    return net


def _not_there(name: str, place: str, error: Exception) -> str:
    if Path(place).is_dir():
        return (
            f"{name} cannot be opened as a classifier of transformers ({first_line(error)}); the folder must be as "
            "save_pretrained leaves it, with config.json, model.safetensors and preprocessor_config.json."
        )
    return (
        f"{name} is no folder here, and could not be had from the hub ({first_line(error)}). Look for the id on "
        f"https://huggingface.co, or download it on another machine (hf download {name} --local-dir DIR) and give "
        "model.name=DIR."
    )


def _only_file(place: str) -> Path | None:
    file = Path(place) / "model.safetensors"
    return file if file.is_file() else None


def _class_names(config: Any) -> list[str]:
    """In order of the logits; none if nobody gave names."""
    names = [str(config.id2label[k]) for k in sorted(config.id2label)]
    return [] if names == [f"LABEL_{k}" for k in range(len(names))] else names


def read(processor: Any, name: str) -> Recipe:
    """What a processor says of itself. UserError: it does what we do not."""
    square, edge = _side(getattr(processor, "size", None))
    crop, _ = _side(getattr(processor, "crop_size", None))
    share = getattr(processor, "crop_pct", None)
    if not getattr(processor, "do_resize", False) or not (square or edge):
        raise UserError(_not_followed(processor, name, "it does not make every picture square and of one size"))
    if share and edge:
        resize, size, kind = (edge, edge, "squash") if edge >= SQUASHED_FROM else (int(edge / share), edge, "center")
    elif getattr(processor, "do_center_crop", False) and crop:
        resize, size, kind = square or edge or crop, crop, "squash" if square else "center"
    elif square:
        resize, size, kind = square, square, "squash"
    else:
        raise UserError(_not_followed(processor, name, "it leaves pictures in their own proportions"))
    scale = 255 * processor.rescale_factor if getattr(processor, "do_rescale", False) else 255.0
    mean, std = _three(0.0), _three(1.0)
    if getattr(processor, "do_normalize", False):
        mean, std = _three(processor.image_mean), _three(processor.image_std)
    proportion = resize / size
    return Recipe(
        size=size,
        resize=lambda wanted: round(wanted * proportion),
        interpolation=RESAMPLING[int(processor.resample)],
        crop=kind,
        mean=mean if abs(scale - 1) < 1e-6 else tuple(m / scale for m in mean),
        std=std if abs(scale - 1) < 1e-6 else tuple(s / scale for s in std),
        down=True,
    )


def agree(processor: Any, recipe: Recipe, name: str) -> None:
    """UserError: the processor makes other inputs of pictures than ours would."""
    ours = Preprocessing(recipe.size, recipe.resize(recipe.size), recipe.interpolation, recipe.crop, down=recipe.down)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (recipe.mean, recipe.std))
    for across, down in SHAPES:
        picture = _picture(round(across * recipe.size), round(down * recipe.size))
        try:
            theirs = processor(images=picture, return_tensors="pt")["pixel_values"][0]
        except Exception as error:  # whatever somebody's processor raises
            raise UserError(_not_followed(processor, name, first_line(error))) from error
        pixels = torch.as_tensor(theirs) * std + mean
        if pixels.shape != (3, recipe.size, recipe.size):
            raise UserError(_not_followed(processor, name, f"it makes inputs of {list(pixels.shape)}"))
        apart = 255 * (pixels - ours(picture)).abs().max().item()
        if not apart <= GREY_LEVELS:
            raise UserError(_not_followed(processor, name, f"its pixels and ours are up to {apart:.0f} of 255 apart"))


def _not_followed(processor: Any, name: str, why: str) -> str:
    kind = type(processor).__name__
    timm = " Give model=timm and timm's name of it." if "Timm" in kind else ""
    return f"The image processor of {name} ({kind}) is not one that can be followed: {why}.{timm}"


def _picture(width: int, height: int) -> Image.Image:
    """Waves of every direction and colour, so that another crop, filter or order of channels shows."""
    y, x = np.mgrid[:height, :width].astype(float)
    waves = [np.sin(x / a + y / b) for a, b in ((2.0, 19.0), (23.0, -1.5), (-3.0, 2.5))]
    return Image.fromarray(np.stack([np.round(127.5 * (1 + wave)) for wave in waves], axis=2).astype(np.uint8))


def told(recipe: Recipe) -> str:
    """Folders with the same weights may differ in it."""
    numbers = " ".join(f"{value:g}" for value in (*recipe.mean, *recipe.std))
    resize = recipe.resize(recipe.size)
    return f"{recipe.size} of {resize} by {recipe.crop}, {recipe.interpolation}, normalised by {numbers}"


def _side(said: Any) -> tuple[int | None, int | None]:
    """Of a processor's size, in pixels: that of a square, or of the shorter side."""
    if said is None or isinstance(said, int):
        return said, None
    said = dict(said)
    height, width = said.get("height"), said.get("width")
    return (height if height == width else None), (None if said.get("longest_edge") else said.get("shortest_edge"))


def _three(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values) if isinstance(values, list | tuple) else (float(values),) * 3
