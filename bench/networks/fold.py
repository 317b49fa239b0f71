"""Batch norms folded into the layers before them: the same function of the image, in fewer passes over memory.

In eval mode a batch norm scales and shifts each channel c of its input,

    y = s (c - mean) + shift,    s = weight / sqrt(var + eps),

and where c is what a convolution, a transposed one or a linear layer puts out, that layer gives y by itself, with s times
its weights, and with s (bias - mean) + shift for its bias. Both are worked out in float64 and rounded once, to the network's
own precision. Gradients by the image follow.

Which norm stands behind which layer is read off the tensors of one traced pass, never off names: a pair is folded if the
norm takes the very tensor that the layer gave, nothing else reads it or their weights, both are called once, and neither
has a hook, a parametrisation or a forward of its own. Names stay: in a norm's place stands nn.Identity; in that of timm's
BatchNormAct2d, what it does after the norm. The output of a folded layer is another one than before, so a pair is left as
it is if somebody looks at that.

Then both networks are asked: if they are apart by more than BOUND, or the folded one fails, all is put back.
"""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.networks.examine import streams_kept

PLAIN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv2dSame)  # by type alone: a subclass may do anything
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, BatchNormAct2d)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
BOUND = {torch.float32: 3e-4, torch.float64: 1e-8}  # of the range of the logits: about sqrt(eps), far above rounding

Place = tuple[dict, str, object]  # a module's children or parameters, the name of one, and what is put there


@dataclass(frozen=True)
class Folded:
    """What became of a network."""

    layers: int  # batch norms that are folded
    of: int  # batch norms that there are
    difference: float = 0.0  # the largest of a logit from what it was, as a share of the range of the logits
    given_up: str | None = None  # why none is folded, where something stood against it


@dataclass
class Pair:
    """A layer and the norm behind it, if there is one."""

    layer: nn.Module
    norm: nn.Module | None = None
    seen_at: set[str] = field(
        default_factory=set
    )  # the modules that put out what the layer gives: it and what wraps it


def fold(net: nn.Module, x: Tensor, kept: Collection[str] = ()) -> Folded:
    """Fold what can be folded, in place.

    x: normalised images, by which the network is followed and compared, [B, 3, H, W].
    kept: names of modules that must put out what they do now.
    """
    of = sum(type(module) in NORMS for module in net.modules())
    if not of:
        return Folded(0, 0)
    try:
        before, pairs = followed(net, x)
    except Exception as error:  # whatever somebody's forward raises when it is followed
        return Folded(0, of, given_up=f"its layers cannot be followed ({_said(error)})")
    pairs = [pair for pair in pairs if not pair.seen_at & set(kept)]
    if not pairs:
        return Folded(0, of)
    undo = _put([place for pair in pairs for place in _places(net, pair)])
    try:
        after = _answer(net, x)
    except Exception as error:  # it may read of a norm what an identity has not
        _put(undo)
        return Folded(0, of, given_up=f"its forward needs the norms themselves ({_said(error)})")
    apart, span = float((after - before).abs().max()), float(before.max() - before.min())
    share = apart / span if span else apart
    if not apart <= BOUND[before.dtype] * span:
        _put(undo)
        return Folded(0, of, share, f"its logits would move by {share:.1e} of their range")
    return Folded(len(pairs), of, share)


def followed(net: nn.Module, x: Tensor) -> tuple[Tensor, list[Pair]]:
    """The logits, and which norm stands behind which layer, as far as they can be folded: seen in one pass."""
    names = {module: name for name, module in net.named_modules()}
    layers = {module for module in names if type(module) in (*PLAIN, *TRANSPOSED) and _untouched(module)}
    norms = {module for module in names if type(module) in NORMS and _untouched(module) and _fixed(module)}
    readers, calls = Readers(), dict.fromkeys(names, 0)
    own = {module: [_at(value) for value in _state(module)] for module in layers | norms}
    for places in own.values():
        readers.of |= {place: set() for place in places}
    given: dict[int, Pair] = {}  # by where the layer's output lies
    alive = []  # those outputs, so that nothing else comes to lie there

    def enter(module: nn.Module, inputs: tuple) -> None:
        calls[module] += 1
        if module in own:
            readers.reader = module
        pair = given.get(_at(inputs[0])) if module in norms and inputs else None
        if pair and inputs[0].ndim == pair.layer.weight.ndim:  # so that dimension 1 is the layer's outputs
            pair.norm = module

    def leave(module: nn.Module, inputs: tuple, output: object) -> None:
        if module in own:
            readers.reader = None
        if module in layers:
            alive.append(output)
            given[_at(output)] = Pair(module)
            readers.of[_at(output)] = set()
        if pair := given.get(_at(output)):
            pair.seen_at.add(names[module])

    hooks = [module.register_forward_pre_hook(enter) for module in names]
    hooks += [module.register_forward_hook(leave) for module in names]
    try:
        with readers:
            logits = _answer(net, x)
    finally:
        for hook in hooks:
            hook.remove()

    def alone(module: nn.Module) -> bool:
        return calls[module] == 1 and all(readers.of[place] <= {module} for place in own[module])

    return logits, [
        pair
        for place, pair in given.items()
        if pair.norm and readers.of[place] == {pair.norm} and alone(pair.layer) and alone(pair.norm)
    ]


class Readers(TorchDispatchMode):
    """While it is on: which modules read the numbers that lie at these places; None: somebody else."""

    def __init__(self):
        super().__init__()
        self.of: dict[int, set[nn.Module | None]] = {}
        self.reader: nn.Module | None = None

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for value in tree_leaves((args, kwargs)):
            if (readers := self.of.get(_at(value))) is not None:
                readers.add(self.reader)
        return func(*args, **(kwargs or {}))


def _at(value: object) -> int:
    """Where a tensor's numbers lie; 0: nowhere."""
    return value.data_ptr() if isinstance(value, Tensor) else 0


def _state(module: nn.Module) -> list[Tensor]:
    """A layer's or a norm's own tensors, without those that the modules inside of it have."""
    return [value for value in (*module._parameters.values(), *module._buffers.values()) if value is not None]


def _untouched(module: nn.Module) -> bool:
    """Whether it does what its class says."""
    return "weight" in module._parameters and "forward" not in vars(module) and not any(map(module.__dict__.get, HOOKS))


def _fixed(norm: nn.Module) -> bool:
    """Whether it goes by its running statistics."""
    return not norm.training and norm.running_mean is not None and norm.running_var is not None


def _places(net: nn.Module, pair: Pair) -> list[Place]:
    """What has to go where for the layer to do the norm's work."""
    layer, norm = pair.layer, pair.norm
    weight, bias = folded_weights(layer, norm)
    instead: nn.Module = nn.Identity()
    if isinstance(norm, BatchNormAct2d):
        instead = nn.Sequential(OrderedDict(drop=norm.drop, act=norm.act))
    instead.eval()
    parents = [(parent._modules, name) for parent in net.modules() for name in parent._modules]
    return [
        (layer._parameters, "weight", nn.Parameter(weight, requires_grad=False)),
        (layer._parameters, "bias", nn.Parameter(bias, requires_grad=False)),
        *[(children, name, instead) for children, name in parents if children[name] is norm],
    ]


def folded_weights(layer: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """Of the layer that does both, in the layer's precision."""
    scale = (norm.running_var.double() + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight.double())
    bias = scale * ((0 if layer.bias is None else layer.bias.double()) - norm.running_mean.double())
    bias = bias + (0 if norm.bias is None else norm.bias.double())
    weight = layer.weight.double()
    if type(layer) in TRANSPOSED:  # [in, out / groups, …]: a group's inputs lead to that group's outputs
        grouped = weight.unflatten(0, (layer.groups, -1))
        weight = (grouped * scale.view(layer.groups, 1, -1, *[1] * (weight.ndim - 2))).flatten(0, 1)
    else:
        weight = weight * scale.view(-1, *[1] * (weight.ndim - 1))
    return weight.to(layer.weight.dtype), bias.to(layer.weight.dtype)


def _put(places: list[Place]) -> list[Place]:
    """Put everything where it belongs, and say what would put it back."""
    before = [(at, name, at[name]) for at, name, _ in places]
    for at, name, value in places:
        at[name] = value
    return before


def _answer(net: nn.Module, x: Tensor) -> Tensor:
    """The logits; a network that draws is dealt the same numbers each time."""
    with streams_kept(), torch.no_grad(), torch.compiler.set_stance("force_eager"):
        return net(x)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
