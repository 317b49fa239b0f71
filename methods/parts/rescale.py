"""DeepLIFT's rescale rule for networks as they are written; methods/deeplift.py says what it is for.

Images and baselines run as one batch, [x; x0]. A rule keeps what a function computes and replaces its gradient by
multipliers m with  sum(m * (input - input0)) = output - output0:  `standing_for(value, line)` is worth `value` and
differentiates as `line`, in which only the inputs are not detached and which is linear in them.
"""

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from methods.parts.functions import SeenFunctions

# fmt: off
ELEMENTWISE = (
    "relu", "relu6", "leaky_relu", "prelu", "rrelu", "threshold", "elu", "selu", "celu", "gelu", "silu", "mish",
    "softplus", "sigmoid", "log_sigmoid", "tanh", "hardtanh", "hardswish", "hardsigmoid", "hardshrink", "softshrink",
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "square", "pow", "__rpow__",
    "abs", "clamp", "clip", "clamp_min", "clamp_max", "maximum", "minimum", "erf", "sin", "cos", "atan",
)
BILINEAR = ("mul", "multiply", "matmul", "bmm", "mm", "linear", "conv1d", "conv2d", "conv3d")
POOLS = ("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
# fmt: on


class RescaleEverywhere(SeenFunctions):
    """While it is on, every torch function that has a rule follows it, called by a module, as a function or a method.

    What has no rule keeps its own gradient, which is right where it is linear; so does what is computed inside of a
    torch.autograd.Function, which says its gradient itself.
    """

    def call(self, func: Callable, name: str, args: tuple, kwargs: dict) -> object:
        in_place = name.endswith("_") and not name.endswith("__")
        rule = RULES.get(name.removesuffix("_") if in_place else name)
        if rule is None or not torch.is_grad_enabled() or not any(varies(a) for a in args):
            return func(*args, **kwargs)
        if not in_place:
            return rule(func, *args, **kwargs)
        if rule is elementwise and not args[0]._is_view():
            return elementwise(func, *args, in_place=True, **kwargs)
        return args[0].copy_(rule(lambda x, *rest, **more: func(x.clone(), *rest, **more), *args, **kwargs))


@contextmanager
def rescale_as_released(model: nn.Module) -> Iterator[None]:
    """While it is on, the modules of the model that captum knew in the released networks too follow the rescale rule."""

    def gate(module: nn.Sigmoid, x: Tensor) -> Tensor:
        return elementwise(torch.sigmoid, x)

    def pool(m: nn.MaxPool2d, x: Tensor) -> Tensor:
        return max_pool(functional.max_pool2d, x, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode)

    def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return rules[type(module)](module, *inputs) if torch.is_grad_enabled() and varies(inputs[0]) else output  # type: ignore[arg-type]

    rules = {nn.Sigmoid: gate, nn.MaxPool2d: pool}
    handles = [m.register_forward_hook(hook) for m in model.modules() if type(m) in rules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def varies(t: object) -> bool:
    """Whether it depends on the image (parameters do not: they are frozen) and is a batch of images and baselines."""
    return isinstance(t, Tensor) and t.requires_grad and t.ndim > 0 and len(t) % 2 == 0


def standing_for(value: Tensor, line: Tensor) -> Tensor:
    """The value of the one, the gradient of the other."""
    return _StandingFor.apply(line, (value.detach(),))


class _StandingFor(torch.autograd.Function):
    """The value in a tuple, in which autograd does not see it."""

    @staticmethod
    def forward(ctx, line: Tensor, value: tuple[Tensor]) -> Tensor:
        return value[0]

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def difference(t: Tensor) -> Tensor:
    """Image minus baseline, for both halves of the batch."""
    x, x0 = t.detach().chunk(2)
    return torch.cat([x - x0, x - x0])


def middle(t: Tensor) -> Tensor:
    """Halfway between image and baseline, for both halves of the batch."""
    x, x0 = t.detach().chunk(2)
    return torch.cat([(x + x0) / 2, (x + x0) / 2])


def meet(t: Tensor) -> Tensor:
    """Where image and baseline differ by so little that a quotient by the difference is noise, for both halves.

    |x - x0| <= sqrt(eps) (|x| + |x0|): 1.5e-8 of their size in float64, 3e-4 in float32. Never across zero, so a ReLU's
    derivative is its slope wherever it stands in for it. (captum: 1e-10, absolute, at every precision.)
    """
    x, x0 = t.detach().chunk(2)
    return torch.cat([_meet(x, x0, x - x0)] * 2)


def _meet(x: Tensor, x0: Tensor, apart: Tensor) -> Tensor:
    """Of one half, both of which are `apart`."""
    return apart.abs() <= x.abs().add_(x0.abs()).mul_(torch.finfo(x.dtype).eps ** 0.5)


def slope(x: Tensor, y: Tensor, derivative: Tensor) -> Tensor:
    """The rescale rule's multiplier, (y - y0) / (x - x0); the derivative where x and x0 meet."""
    quotient = difference(y) / torch.where(meet(x), 1, difference(x))
    return torch.where(meet(x), derivative, quotient).nan_to_num(0, 0, 0)


def elementwise(f: Callable, *args, in_place: bool = False, **kwargs) -> Tensor:
    """y = f(x), number by number: the rescale rule itself."""
    i, *others = (i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad)
    if others:
        return f(*args, **kwargs)
    plain = getattr(torch.ops.aten, f.__name__.removesuffix("_")) if in_place else f

    def at(function: Callable) -> Callable[[Tensor], Tensor]:
        return lambda z: function(*args[:i], z, *args[i + 1 :], **kwargs)

    made = _Rescaled.apply(args[i], at(f), at(plain), in_place)
    return f(*args, **kwargs) if made is None else made


class _Rescaled(torch.autograd.Function):
    """f(x), or None where f changes the shape; its gradient is the slope.  plain: f, in place or not, never in place."""

    @staticmethod
    def forward(ctx, x: Tensor, f: Callable, plain: Callable, in_place: bool) -> Tensor | None:
        image, baseline = x.chunk(2)
        apart = image - baseline
        together = _meet(image, baseline, apart)
        derivative = _derivative(plain, x)  # on images there are always places where it is asked for
        y = f(x)
        if y.shape != x.shape:
            return None
        if in_place:
            ctx.mark_dirty(x)
        image, baseline = y.chunk(2)
        quotient = (image - baseline).div_(apart)  # both halves have it
        slope = torch.where(together, derivative.unflatten(0, (2, -1)), quotient).nan_to_num_(0, 0, 0)
        ctx.save_for_backward(slope)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return gradient * slope.flatten(0, 1), None, None, None


def _derivative(f: Callable, x: Tensor) -> Tensor:
    """f'(x), number by number."""
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        y = f(point)
        return torch.autograd.grad(y, point, torch.ones_like(y[:1]).expand_as(y))[0]


def product(f: Callable, a: Tensor | int | float, b: Tensor | int | float, *rest, **kwargs) -> Tensor:
    """y = a b, for any f linear in a and in b:  dy = da middle(b) + middle(a) db."""
    if not (varies(a) and varies(b)):
        return f(a, b, *rest, **kwargs)
    line = f(a, middle(b), *rest, **kwargs) + f(middle(a), b, *rest, **kwargs)  # type: ignore[arg-type]
    return standing_for(f(a.detach(), b.detach(), *rest, **kwargs), line)


def quotient(f: Callable, a: Tensor | int | float, b: Tensor | int | float, **kwargs) -> Tensor:
    """a / b: the product of a and the rescaled 1 / b."""
    if not varies(b) or kwargs:
        return f(a, b, **kwargs)
    return product(operator.mul, a, elementwise(torch.reciprocal, b))


def quotient_of(f: Callable, b: Tensor, a: Tensor | int | float) -> Tensor:
    """a / b, called as b's method."""
    return quotient(operator.truediv, a, b)


def baddbmm(f: Callable, shift: Tensor, a: Tensor, b: Tensor, *, beta=1, alpha=1) -> Tensor:
    return beta * shift + alpha * product(torch.bmm, a, b)


def einsum(f: Callable, equation: str, *operands: Tensor) -> Tensor:
    if len(operands) != 2:
        return f(equation, *operands)
    return product(lambda a, b: f(equation, a, b), *operands)


def softmax(f: Callable, x: Tensor, dim: int, *args, **kwargs) -> Tensor:
    """p = exp(x - log sum exp x), the exponential rescaled: dp = l (dx - <dx>), l = dp / d log p.

    <.> is the average weighted by l, the only one under which the sum of p stays 1.
    """
    weight, away = _softmax_line(x, dim)
    return standing_for(f(x.detach(), dim, *args, **kwargs), weight * away)


def log_softmax(f: Callable, x: Tensor, dim: int, *args, **kwargs) -> Tensor:
    """d log p = dx - <dx>, as in softmax."""
    return standing_for(f(x.detach(), dim, *args, **kwargs), _softmax_line(x, dim)[1])


def _softmax_line(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """l and x - <x>."""
    log_p = x.detach().log_softmax(dim)
    weight = slope(log_p, log_p.exp(), log_p.exp())
    x = x.clamp_min(torch.finfo(x.dtype).min)  # what is masked is -inf and has no weight
    return weight, x - (x * (weight / weight.sum(dim, keepdim=True))).sum(dim, keepdim=True)


def softmax_of_captum(x: Tensor, dim: int) -> Tensor:
    """captum's rule: multipliers dp / dx minus their plain mean, over an image's classes (there over the batch's)."""
    p = x.detach().softmax(dim)
    return standing_for(p, slope(x, p, p * (1 - p)) * (x - x.mean(dim, keepdim=True)))


def attention(
    f: Callable, q: Tensor, k: Tensor, v: Tensor, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **kwargs
) -> Tensor:
    """softmax(q k' / sqrt(d)) v, of products and a softmax that have rules. No dropout in eval mode."""
    if kwargs.get("enable_gqa"):
        k, v = (t.repeat_interleave(q.shape[-3] // t.shape[-3], dim=-3) for t in (k, v))
    scores = product(torch.matmul, q * (scale or 1 / math.sqrt(q.shape[-1])), k.transpose(-2, -1))
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return product(torch.matmul, softmax(torch.softmax, scores, -1), v)


def standardised(x: Tensor, dims: tuple[int, ...], eps: float, centre: bool = True) -> Tensor:
    """c / sqrt(mean(c c) + eps), c = x - mean(x): two products and a rescaled 1 / sqrt."""
    c = x - x.mean(dims, keepdim=True) if centre else x
    variance = product(torch.mul, c, c).mean(dims, keepdim=True)
    return product(torch.mul, c, elementwise(torch.rsqrt, variance + eps))


def layer_norm(f: Callable, x: Tensor, shape, weight=None, bias=None, eps=1e-5, *args) -> Tensor:
    line = standardised(x, tuple(range(-len(shape), 0)), eps)
    return standing_for(f(x.detach(), shape, weight, bias, eps, *args), line if weight is None else line * weight)


def rms_norm(f: Callable, x: Tensor, shape, weight=None, eps=None) -> Tensor:
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    line = standardised(x, tuple(range(-len(shape), 0)), eps, centre=False)
    return standing_for(f(x.detach(), shape, weight, eps), line if weight is None else line * weight)


def group_norm(f: Callable, x: Tensor, groups: int, weight=None, bias=None, eps=1e-5, *args) -> Tensor:
    line = standardised(x.unflatten(1, (groups, -1)).flatten(2), (2,), eps).reshape(x.shape)
    scale = 1 if weight is None else weight.reshape(-1, *[1] * (x.ndim - 2))
    return standing_for(f(x.detach(), groups, weight, bias, eps, *args), line * scale)


def norm(f: Callable, x: Tensor, p=2, dim=None, keepdim=False, **kwargs) -> Tensor:
    """The Euclidean norm, sqrt(sum x x)."""
    if p not in (2, "fro") or dim is None:
        return f(x, p, dim, keepdim, **kwargs)
    return elementwise(torch.sqrt, product(torch.mul, x, x).sum(dim, keepdim))


def max_pool(f: Callable, x: Tensor, *args, **kwargs) -> Tensor:
    """captum's rule: a rise of y over y0 is credited to the pixel that is x's maximum, a fall to the one that was x0's.

    top = max(y, y0);  m = [ (top - y0) at argmax x  +  (y - top) at argmax x0 ] / (x - x0). Where windows overlap, the
    credits of a pixel add up.
    """
    pool = getattr(functional, f.__name__)
    pooled, where = pool(x.detach(), *args, **kwargs | {"return_indices": True})
    y, y0 = pooled.chunk(2)
    top = torch.maximum(y, y0)
    both = torch.cat([sum(x.chunk(2))] * 2)  # type: ignore[list-item]  # image and baseline get one multiplier
    per_change = both / torch.where(meet(x), math.inf, difference(x))
    own = both * meet(x)  # where they meet: the gradient of the image's half
    own[len(y) :] = 0
    credit = torch.cat([top - y0, y - top])
    return standing_for(pooled, _pick(per_change, where) * credit + _pick(own, where))


def _pick(pixels: Tensor, where: Tensor) -> Tensor:
    """The pixels that a pool chose, in the pool's shape; `where` counts through an image's pixels."""
    return pixels.flatten(2).gather(2, where.flatten(2)).view_as(where)


RULES = {
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **dict.fromkeys(BILINEAR, product),
    **dict.fromkeys(POOLS, max_pool),
    **dict.fromkeys(["div", "divide", "true_divide"], quotient),
    **dict.fromkeys(["__rdiv__", "__rtruediv__"], quotient_of),
    **dict.fromkeys(["norm", "linalg_vector_norm"], norm),
    "baddbmm": baddbmm,
    "einsum": einsum,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "scaled_dot_product_attention": attention,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
}
