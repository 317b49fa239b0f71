"""torchvision's classifiers, built as torchvision builds them for its published weights."""

import pickle
import re
from pathlib import Path

import torch
import torchvision
from torchvision.models import WeightsEnum

from bench.errors import UserError, did_you_mean
from bench.networks.network import Built, Recipe
from bench.networks.weights import DOWNLOAD_ERRORS, State, fill, first_line, read_weights, seeded

RESCALING = ("inception_v3", "googlenet")  # with their published weights they take [0, 1] as (x - 0.5) / 0.5
SLOW_TO_DRAW = (*RESCALING, "vgg")  # their initial weights, which published ones replace


def torchvision_network(
    *, name: str, version: str, weights: str | None, published_confusion: list[float] | None
) -> Built:
    """What is null comes from the weights' own recipe.

    published_confusion: of LA's first upload, for IMAGENET1K_V1 at 224 pixels under its own normalisation.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise UserError(f"torchvision has no classifier {name!r}.{did_you_mean(name, known)}")
    enum = torchvision.models.get_model_weights(name)
    if version not in enum.__members__:
        raise UserError(f"torchvision has no weights {version!r} of {name}; it has {', '.join(enum.__members__)}.")
    chosen, file, state = enum[version], None, None
    if weights is None:
        file, state = _published(name, version, chosen.url)
    elif weights != "random":
        file = Path(weights).expanduser()
        state = read_weights(file)
    net = seeded(lambda: torchvision.models.get_model(name, weights=None, **as_for(chosen, name, drawn=state is None)))
    if state is not None:
        fill(net, _of_today(state), file, name)  # type: ignore[arg-type]
    if name == "googlenet":  # its side branches are for training alone
        net.aux_logits, net.aux1, net.aux2 = False, None, None  # type: ignore[assignment]
    return Built(
        net,
        name=name,
        weights_file=file,
        confusion=published_confusion if weights is None and version == "IMAGENET1K_V1" else None,
        recipe=recipe_of(chosen),
    )


def as_for(chosen: WeightsEnum, name: str, drawn: bool) -> dict[str, object]:
    """The arguments that torchvision's builders set themselves if they are given these weights.

    drawn: the initial weights will be used.
    """
    settings: dict[str, object] = {}
    if name in RESCALING:
        settings["transform_input"] = True
    if name.startswith(SLOW_TO_DRAW):
        settings["init_weights"] = drawn
    if name.startswith("vit_"):
        settings["image_size"] = chosen.meta["min_size"][0]
    if name.startswith("maxvit"):
        settings["input_size"] = chosen.meta["min_size"]
    return settings


def _of_today(state: State) -> State:
    """DenseNet's published weights name norm1 and conv2 as norm.1 and conv.2."""
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
    return {old.sub(r"\1\2", key): value for key, value in state.items()} if any(map(old.search, state)) else state


def recipe_of(chosen: WeightsEnum) -> Recipe:
    """What torchvision's transforms for these weights do."""
    transforms = chosen.transforms()
    size, resize = transforms.crop_size[0], transforms.resize_size[0]
    return Recipe(
        size=size,
        resize=lambda wanted: round(wanted * resize / size),
        interpolation=transforms.interpolation.value,
        mean=transforms.mean,
        std=transforms.std,
    )


def _published(name: str, version: str, url: str) -> tuple[Path, State]:
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    try:
        state = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (*DOWNLOAD_ERRORS, pickle.UnpicklingError) as error:
        raise UserError(
            f"The weights {version} of {name} are not on this machine and could not be fetched ({first_line(error)}). "
            f"Download {url} on another machine and put it at {file}, or give model.weights=FILE, or model.weights=random."
        ) from error
    return file, state
