"""LRP, layer-wise relevance propagation. Bach et al., PLOS ONE 2015, https://doi.org/10.1371/journal.pone.0130140. By zennit
(https://github.com/chr5tphr/zennit), in its composites of one rule for each kind of layer:

    EpsilonPlusFlat         first layer flat, convolutions z+, linear layers epsilon
    EpsilonAlpha2Beta1Flat  first layer flat, convolutions alpha 2 beta 1, linear layers epsilon
    EpsilonGammaBox         first layer z-box, convolutions gamma 0.25, linear layers epsilon

The relevance of the target's logit z_t is shared out from layer to layer down to the normalised image; batch norms are first
merged into the layers before them, and put back. A layer without a rule would get a plain gradient without a word, so the
network is looked through before: modules that have a rule, and torchvision's residual blocks, whose sums zennit knows.
Departure (`bias: none`): biases take no relevance, so that sum(A) = z_t; with their share (`bias: share`, as in zennit's own
composites, and for EpsilonGammaBox, which is unsteady without) a trained network may keep a third of it, and the row's
completeness_gap shows it. With `none` a map that does not add up within `tolerance` is a failed row.
Agrees with: a slow rewrite of the rules. Cost: 1 forward and 1 backward pass (of some three times the work).
"""

from typing import Literal, get_args

import torch
from torch import Tensor, fx, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from bench.errors import UserError
from bench.notes import note
from bench.ranges import Share
from bench.rng import Rng
from bench.types import Images, Targets
from methods.external.library import required
from methods.parts.gradient import at

INSTALL = '"heatproof[lrp]"'
Composite = Literal["EpsilonPlusFlat", "EpsilonAlpha2Beta1Flat", "EpsilonGammaBox"]
COMPOSITES = get_args(Composite)
ONCE = (
    nn.Conv2d,
    nn.Linear,
    nn.BatchNorm2d,
    nn.BatchNorm1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    BasicBlock,
    Bottleneck,
)
STATELESS = (nn.ReLU, nn.MaxPool2d, nn.Dropout, nn.Identity, nn.Flatten)


def relevance(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    composite: Composite,
    bias: Literal["none", "share"],
    tolerance: Share,
) -> Images:
    """Signed, in units of the logit.  rng: ignored.

    composite: one of COMPOSITES.  bias: `none` or `share`.  tolerance: of sum(A) - z_t, as a share of z_t.
    Raises UserError for a network with a layer that has no rule.
    """
    network = getattr(model.net, "_orig_mod", model.net)
    rules = composite_of(model, composite, bias)
    if unknown := layer_without_rule(network):
        raise UserError(
            f"LRP has no rule for this network: {unknown}. Use a torchvision ResNet or VGG (model=resnet50, vgg16), or a "
            "plain network of modules; for others method=deeplift shares out the logit."
        )
    pixels = []

    def cut(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        """Relevance goes down to the normalised image: the shift behind it would take a share."""
        pixels.append(inputs[0].detach().requires_grad_())
        return (pixels[-1],)

    handle = network.register_forward_pre_hook(cut)
    try:
        with torch.compiler.set_stance("force_eager"), torch.enable_grad(), rules.context(network):
            output = at(model(x), target)
            (made,) = torch.autograd.grad(output, pixels[-1], grad_outputs=output.detach())
    finally:
        handle.remove()
    gap, output = made.flatten(1).sum(dim=1) - output.detach(), output.detach()
    note(completeness_gap=gap)
    if bias == "none":
        note(error=[complaint(g, z, tolerance) for g, z in zip(gap.tolist(), output.tolist(), strict=True)])
    return made


def passes(network: nn.Module | None, **_: object) -> tuple[int, int]:
    """One forward and one backward pass of an image, said for a forecast, whose network has no layers."""
    return 1, 1


relevance.passes = passes
relevance.looks_inside = True  # zennit merges batch norms by itself, less exactly: 1 / sqrt(1 + eps) is left of them


def complaint(gap: float, output: float, tolerance: float) -> str | None:
    if abs(gap) <= tolerance * abs(output):
        return None
    return (
        f"the relevance adds up to {output + gap:.4g}, the logit is {output:.4g}: more than method.tolerance={tolerance} of "
        "it was lost or made on the way"
    )


def composite_of(model: nn.Module, name: str, bias: str) -> object:
    """zennit's composite of that name, with the canonisers of torchvision's networks."""
    composites, canonizers = required("zennit.composites", INSTALL), required("zennit.torchvision", INSTALL)
    if name not in COMPOSITES:
        raise UserError(f"method.composite={name}: expected {', '.join(COMPOSITES)}.")
    if bias not in ("none", "share"):
        raise UserError(f"method.bias={bias}: expected none or share.")
    settings = {"zero_params": ["bias"] if bias == "none" else None, "canonizers": [canonizers.ResNetCanonizer()]}
    if name == "EpsilonGammaBox":  # black and white, as the network sees them
        settings |= {"low": ((0 - model.mean) / model.std)[None], "high": ((1 - model.mean) / model.std)[None]}
    return getattr(composites, name)(**settings)


class Modules(fx.Tracer):
    """Follows a network down to torch's own modules and torchvision's residual blocks."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, BasicBlock | Bottleneck) or super().is_leaf_module(module, name)


def layer_without_rule(network: nn.Module) -> str | None:
    """What in the network would get a plain gradient, or a rule that is not its own, in words; None: nothing."""
    try:
        nodes = Modules().trace(network).nodes
    except (fx.proxy.TraceError, TypeError, RuntimeError, ValueError, AttributeError) as error:
        return f"its layers cannot be followed ({str(error).splitlines()[0][:100]})"
    modules, called = dict(network.named_modules()), []
    for node in nodes:
        if node.op in ("call_function", "call_method"):
            name = getattr(node.target, "__name__", node.target)
            if name != "flatten":
                return f"it calls {name} as a function"
        elif node.op == "get_attr":
            return f"it uses {node.target} by itself"
        elif node.op == "call_module":
            module = modules[node.target]
            if type(module) not in ONCE + STATELESS:
                return f"{node.target} is a {type(module).__name__}"
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and not follows_a_layer(node, modules):
                return f"{node.target} is a batch norm that follows no convolution"
            if type(module) in ONCE and node.target in called:
                return f"{node.target} is used twice"
            called.append(node.target)
    return None


def follows_a_layer(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    before = node.args[0]
    return before.op == "call_module" and isinstance(modules[before.target], nn.Conv2d | nn.Linear)
