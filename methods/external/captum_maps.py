"""Any attribution class of captum.attr (https://captum.ai), by name: occlusion (Zeiler & Fergus, ECCV 2014), LIME (Ribeiro
et al., KDD 2016), Kernel SHAP (Lundberg & Lee, NeurIPS 2017), Shapley sampling (Strumbelj & Kononenko, JMLR 2010), guided
backpropagation (Springenberg et al., ICLR workshop 2015) and others; conf/method holds presets.

Image by image, the random ones from a stream of that image: captum draws from torch's and NumPy's global state, where an
image's map would depend on who was drawn for before. Where a method asks for superpixels they are a grid of square patches.
Refused: what explains layers, what mixes images, and captum's LRP and DeepLIFT, which go wrong or fail on residual networks.
Agrees with: captum, called directly under the same seed. Cost: the class's own; its passes are counted as they are made.
"""

import warnings
from collections.abc import Mapping
from typing import Annotated, Literal, TypedDict

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.errors import UserError
from bench.ranges import Between, Count, Length, Noise, Share
from bench.rng import Rng
from bench.types import Images, Targets
from methods.external.library import member, own_stream, required

INSTALL = '"heatproof[captum]"'
REFUSED = {
    "LRP": "it does not conserve relevance where a network adds branches; use method=lrp_epsilon_plus_flat",
    "DeepLift": "it fails where blocks share a ReLU; use method=deeplift",
    "DeepLiftShap": "it fails where blocks share a ReLU; use method=deeplift",
    "NoiseTunnel": "it wraps another class; use method=sg",
    "FeaturePermutation": "it swaps values between the images of a batch, so that a map would depend on its neighbours",
}
BENDS_RELUS = ("GuidedBackprop", "Deconvolution")
RECTIFIERS = (nn.ReLU, nn.ReLU6)  # whose gradients they change; captum by itself passes ReLU6 over, MobileNetV2's


class Surrogate(TypedDict, total=False):
    """The linear model of LIME."""

    name: str
    alpha: Annotated[float, Between(0, 1_000_000)]


class Options(TypedDict, total=False):
    """What the classes take; one may take more."""

    interpretable_model: Surrogate
    multiply_by_inputs: bool


Sides = Annotated[list[Annotated[int, Between(1, 8192)]], Length(3, exactly=True)]  # channels, rows, columns


class Arguments(TypedDict, total=False):
    """What their `attribute` takes; one may take more."""

    n_samples: Annotated[int, Between(1, 1_000_000)]
    n_steps: Count
    stdevs: Noise
    perturbations_per_eval: Annotated[int, Between(1, 4096)]
    internal_batch_size: Annotated[int, Between(1, 4096)] | None
    sliding_window_shapes: Sides
    strides: Sides


def captum_map(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    name: str,
    options: Options,
    arguments: Arguments,
    patch: Annotated[int, Between(1, 8192)] | None,
    baseline: Share | None,
    objective: Literal["logit", "probability"],
) -> Images:
    """What `captum.attr.<name>(model, **options).attribute(image, target, **arguments)` gives for each image.

    options: a mapping with a `name` builds that class of captum._utils.models.linear_model.  patch: pixels a side of the
    patches that stand or fall together (feature_mask); None: the class is handed none.  baseline: grey level, in the units
    of x; None: the class is handed none.  objective: `logit` or `probability` of the target.
    Raises UserError for a class that is not offered, and for ReLU rules on a network that they cannot act on.
    """
    explainer = explainer_of(name, options, model, objective)
    with torch.compiler.set_stance("force_eager"):
        if name in BENDS_RELUS:
            check_relus(model, x[:1], name)
        maps = []
        for i in range(len(x)):
            image, given = x[i : i + 1], tuples(arguments)
            if patch is not None:
                given["feature_mask"] = grid(image, patch)
            if baseline is not None:
                given["baselines"] = torch.full_like(image, baseline)
            stream = rng.for_images(torch.tensor([i], device=rng.keys.device))
            with own_stream(stream, x.device), torch.enable_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that inputs are made to require gradients, that hooks are set
                try:
                    made = explainer.attribute(image.detach(), target=int(target[i]), **given)
                except (AssertionError, TypeError, ValueError) as error:
                    why = " ".join(str(error).split())[:300]
                    raise UserError(f"method.arguments do not fit captum's {name}: {why}.") from error
                maps.append(made.detach())
    return torch.cat(maps).to(x.dtype)


def passes(network: nn.Module | None, *, name: str, arguments: dict, **_: object) -> tuple[int, int] | None:
    """Forward and backward passes of an image, of what looks into a network or takes long without one; None: a dry run
    tells."""
    if name in ("Lime", "KernelShap") and "n_samples" in arguments:
        return arguments["n_samples"], 0
    return (1, 1) if name in BENDS_RELUS else None


captum_map.passes = passes


def explainer_of(name: str, options: dict, model: nn.Module, objective: str) -> object:
    """The captum object. Its `forward` is the network, with a softmax behind it if the objective is the probability."""
    library = required("captum.attr", INSTALL)
    if name in REFUSED:
        raise UserError(f"method.name={name} is not offered: {REFUSED[name]}.")
    kind = member(library, name)
    if name.startswith(("Layer", "Neuron", "Internal")) or not issubclass(kind, library.Attribution):
        raise UserError(f"method.name={name} does not explain the values of an image: name a class that does.")
    if objective not in ("logit", "probability"):
        raise UserError(f"method.objective={objective}: expected logit or probability.")
    forward = nn.Sequential(model, nn.Softmax(dim=1)) if objective == "probability" else model
    if name in BENDS_RELUS:
        kind = reaching(kind)
    try:
        return kind(forward, **{key: built(value) for key, value in options.items()})
    except TypeError as error:
        raise UserError(f"method.options do not fit captum's {name}: {error}.") from error


def reaching(kind: type) -> type:
    """The class, with ReLU6 treated as ReLU is."""
    register = required("captum._utils.common", INSTALL)._register_backward_hook

    class Reaching(kind):  # type: ignore[misc, valid-type]
        def _register_hooks(self, module: nn.Module) -> None:
            if isinstance(module, RECTIFIERS):
                self.backward_hooks.extend(register(module, self._backward_hook, self))

    return Reaching


def built(option: object) -> object:
    """A mapping with a `name` as the object that it describes, all else as it is."""
    if not isinstance(option, Mapping) or "name" not in option:
        return option
    models = required("captum._utils.models.linear_model", INSTALL)
    required("sklearn", INSTALL)
    return member(models, option["name"])(**{key: value for key, value in option.items() if key != "name"})


def tuples(arguments: Mapping) -> dict:
    """The arguments, lists as the tuples that captum asks for."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}


def grid(image: Images, patch: int) -> Tensor:
    """int64 [1, 1, H, W]: which patch a pixel belongs to, row by row; those at the right and lower edge may be cut."""
    height, width = image.shape[2:]
    rows, columns = (
        torch.arange(height, device=image.device) // patch,
        torch.arange(width, device=image.device) // patch,
    )
    return (rows[:, None] * (-(-width // patch)) + columns)[None, None]


class Rectified(TorchFunctionMode):
    """Counts the calls of ReLU and ReLU6, by whomever."""

    calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        capped = name == "hardtanh" and args[1:2] == (0,)  # what the module nn.ReLU6 calls
        self.calls += capped or name in ("relu", "relu_", "relu6", "relu6_")
        return func(*args, **kwargs or {})


def check_relus(model: nn.Module, image: Images, name: str) -> None:
    """Raises UserError if the rule would not reach every ReLU: it acts on modules alone, without a word on the others."""
    reached = []
    modules = [module for module in model.modules() if isinstance(module, RECTIFIERS)]
    handles = [module.register_forward_hook(lambda *_: reached.append(1)) for module in modules]
    try:
        with torch.no_grad(), Rectified() as counted:
            model.net(image)
    finally:
        for handle in handles:
            handle.remove()
    if not reached or counted.calls > len(reached):
        raise UserError(
            f"captum's {name} acts on modules, nn.ReLU and nn.ReLU6; this network runs {len(reached)} of them and calls "
            f"{counted.calls - len(reached)} ReLUs as functions, so that the map would be a plain gradient in part. "
            "Use a network with ReLU modules (resnet50, vgg16, efficientnet_lite0), or another method."
        )
