"""Which layers of a network still see where things are, and how their outputs are pictures.

A picture is an output [B, K, n, n] (a convolution's), [B, n, n, K] (Swin's), or the tokens [B, (p +) n n, K] of a
transformer, p of which (class, distillation, registers) stand before the patches. The n of tokens is that of a convolution
before them, else the whole root of their number. No picture: attention's [B, heads, N, N], windows of images, vectors.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.errors import UserError

PREFIX = 16  # tokens that may stand before the patches


@dataclass(frozen=True)
class Layer:
    """A layer whose output is a picture."""

    name: str
    shape: tuple[int, ...]  # of its output, of one image
    layout: str  # channels first | channels last | tokens
    side: int  # n

    @property
    def channels(self) -> int:
        return self.shape[0 if self.layout == "channels first" else -1]

    def lay_out(self, activation: Tensor) -> Tensor:
        """[B, K, n, n], from the layer's output or from a gradient of its shape."""
        if self.layout == "tokens":
            patches = activation[:, activation.shape[1] - self.side**2 :]
            return patches.transpose(1, 2).unflatten(2, (self.side, self.side))
        return activation if self.layout == "channels first" else activation.movedim(3, 1)


@dataclass(frozen=True)
class Output:
    """What a layer gave when the network was looked at."""

    name: str
    shape: tuple[int, ...] | None  # of one image; None: no tensor, or one that is not of a batch of images
    picture: Layer | None
    why_not: str  # where it is none
    reached: bool = False  # the logits depend on it, where it shows patches
    varies: bool = False  # from place to place
    norm: bool = False  # of a normalisation


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")  # of a module, by torch


def probes(size: int, like: Tensor) -> Tensor:
    """Two images that are nowhere flat, [2, 3, size, size], in [0, 1]."""
    ramp = torch.arange(3 * size * size, dtype=like.dtype, device=like.device)
    image = (ramp * 0.7548776662).frac().view(1, 3, size, size)
    return torch.cat([image, image.flip(3) ** 2])


def look(network: nn.Module, x: Tensor) -> dict[str, Output]:
    """Every layer's output, in order of execution, from one forward and one backward pass. x: normalised, [B, 3, H, W]."""
    seen: dict[str, object] = {}
    modules = {name: module for name, module in network.named_modules() if name}

    def keep(name: str) -> Callable:
        def hook(module: nn.Module, inputs: tuple, output: object) -> object:
            seen.pop(name, None)  # called again: it counts where it was called last
            seen[name] = output
            return output.clone() if isinstance(output, Tensor) else output  # the next layer may work in place

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        with torch.enable_grad():
            logits = network(x.detach().requires_grad_().clone())  # no leaf: the first layer may work in place
    finally:
        for hook in hooks:
            hook.remove()
    tensors = {name: output for name, output in seen.items() if isinstance(output, Tensor) and output.requires_grad}
    weights = torch.linspace(1, 2, logits.shape[1], dtype=logits.dtype, device=logits.device)
    total = (logits * weights).sum()
    found = torch.autograd.grad(total, list(tensors.values()), allow_unused=True) if tensors else ()
    gradients = dict(zip(tensors, found, strict=True))
    of_images = [output for output in tensors.values() if output.shape[:1] == x.shape[:1]]
    lengths = {output.shape[1] for output in of_images if output.ndim == 3}
    grids = {output.shape[3] for output in of_images if output.ndim == 4 and output.shape[2] == output.shape[3]}
    return {
        name: _output(name, modules[name], output, gradients.get(name), len(x), lengths, grids)
        for name, output in seen.items()
    }


def last_picture(outputs: dict[str, Output], name: str) -> Layer:
    """The last layer, in order of execution, whose picture the logits depend on; of tokens, the last that are normalised.

    So a convolutional network's last stage, and of a transformer the norm before the last attention, or before the pool.
    A picture of one channel is a gate. Where the logits depend on none (a head of zeros, before training), any will do.
    """
    pictures = [o for o in outputs.values() if o.picture and o.varies and o.picture.channels > 1]
    fit = [o for o in pictures if o.reached] or pictures
    tokens = [o for o in fit if o.picture.layout == "tokens"]
    normed = [o for o in tokens if o.norm] or tokens
    fit = [o for o in fit if o.picture.layout != "tokens" or o in normed]
    if not fit:
        raise UserError(f"{name} has no layer with a spatial output; name one that has: model.feature_layer=LAYER.")
    return fit[-1].picture  # type: ignore[return-value]


def picture(outputs: dict[str, Output], layer: str, name: str) -> Layer:
    """How this layer's output is a picture."""
    cure = "name a layer that still sees where things are: method.layer=LAYER or model.feature_layer=LAYER"
    output = outputs.get(layer)
    if output is None:
        raise UserError(f"{name} does not call its layer {layer} when it sees an image; {cure}.")
    if output.picture is None:
        raise UserError(f"{name}'s layer {layer} gives no picture but {output.why_not}; {cure}.")
    if not output.reached:
        raise UserError(f"{name}'s answer does not depend on the picture that its layer {layer} gives; {cure}.")
    return output.picture


def _output(
    name: str,
    module: nn.Module,
    value: object,
    gradient: Tensor | None,
    batch: int,
    lengths: set[int],
    grids: set[int],
) -> Output:
    if not isinstance(value, Tensor):
        return Output(name, None, None, f"a {type(value).__name__}")
    if value.ndim == 0 or len(value) != batch:
        return Output(name, None, None, f"a tensor {list(value.shape)} of {batch} images: not one part for each image")
    shape = tuple(value.shape[1:])
    layout, side, why_not = _layout(value.detach(), shape, lengths, grids)
    if not layout or (layout == "tokens" and isinstance(module, _BatchNorm)):
        return Output(name, shape, None, why_not or f"{list(shape)} an image")
    layer = Layer(name, shape, layout, side)
    laid_out = layer.lay_out(value.detach())
    reached = gradient is not None and bool((layer.lay_out(gradient) != 0).any())
    varies = bool((laid_out != laid_out[:, :, :1, :1]).any())
    return Output(name, shape, layer, "", reached, varies, "norm" in type(module).__name__.lower())


def _layout(value: Tensor, shape: tuple[int, ...], lengths: set[int], grids: set[int]) -> tuple[str, int, str]:
    """Layout and n, or ("", 0, what it is instead).  lengths: of the token sequences.  grids: the n of 4-D outputs."""
    none = "", 0, f"{list(shape)} an image"
    if len(shape) == 2:
        side = _side(shape[0], grids)
        return ("tokens", side, "") if side > 1 else none
    if len(shape) != 3:
        return none
    a, b, c = shape
    layout, side = ("channels first", c) if b == c else ("channels last", a) if a == b else ("", 0)
    if side < 2:
        return none
    if side in lengths or _sums_to_one(value):
        return "", 0, f"an attention matrix, {list(shape)} an image"
    return layout, side, ""


def _side(tokens: int, grids: set[int]) -> int:
    """The n of (p +) n n tokens; 0: they are no grid."""
    root = math.isqrt(tokens)
    known = [n for n in (root, root - 1) if n in grids and tokens - n * n <= PREFIX]
    return known[0] if known else root if tokens - root * root <= PREFIX else 0


def _sums_to_one(value: Tensor) -> bool:
    """Whether it is a softmax's."""
    one = torch.ones((), dtype=value.dtype, device=value.device)
    return bool((value >= 0).all()) and any(torch.allclose(value.sum(dim), one, atol=1e-3) for dim in (2, 3))
