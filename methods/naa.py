"""AttEXplore with NAA (Zhang et al., CVPR 2022, https://arxiv.org/abs/2204.00008) for an attack. Zhu et al., ICLR 2024,
Table 6: methods/sign_walk.py's walk along the gradient of what a layer's neurons, a(x), have to do with p_t,

    w   = sum over l < probes of  d p_t / d a  at (1 - l / probes) (x + noise n_l),    n_l ~ N(0, 1)
    g_k = d ( sum of  a(x_k) * w / ||w|| ) / d x_k,  over its mean magnitude, with momentum

As in the released code (https://github.com/LMBTough/ATTEXPLORE, first upload) the walk raises what the neurons have to
do with the label (NAA-3), and positive and negative shares weigh alike (NAA-4). Departures from it: a(black) is not
subtracted from a(x_k), being a constant without a gradient; the layer is the one named (NAA-1: there, on ResNet-50, the
last convolution, for want of the layer asked for); and no hook outlives a pass (NAA-2).
Agrees with: a slow rewrite that computes the layers after a in a network of their own.
Cost: probes + steps forward and backward passes, the latter steps' only from the layer down.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.notes import note
from bench.ranges import Count, GreyLevels, Noise
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import probability
from methods.parts.sign_walk import Decay, Direction, sign_walk


def neuron_attribution_attack(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    layer: str | None,
    probes: Count,
    noise: Noise,
    steps: Count,
    epsilon: GreyLevels,
    direction: Direction,
    decay: Decay,
) -> Images:
    """Never negative, in units of G.

    layer: its name; None: the network's own choice.  noise: in units of x.  epsilon: grey levels, of 255.
    """
    module = model.layer(layer)
    weights = neuron_weights(model, module, x, target, rng, probes=probes, noise=noise)

    def gradient_near(point: Images, momentum: Images) -> Images:
        with torch.enable_grad(), outputs(module, cut=False) as seen:
            point = point.detach().requires_grad_()
            model(point)
            value = (seen[-1] * weights).sum()
        return torch.autograd.grad(value, point)[0]

    note(backward_passes=torch.full((len(x),), probes + steps))
    return sign_walk(
        x,
        gradient_near,
        start=x,
        first=x,
        steps=steps,
        epsilon=epsilon,
        direction=direction,
        accumulate_grad=False,
        blur=0,
        blur_std=0.0,
        normalise=True,
        decay=decay,
    )


def neuron_weights(
    model: nn.Module, module: nn.Module, x: Images, target: Targets, rng: Rng, *, probes: int, noise: float
) -> Tensor:
    """w / ||w||, [B, ...] as the layer's output: the gradients that p_t has there on the way to black, summed."""
    total = 0
    for k in range(probes):
        probe = (x + noise * rng.normal(*x.shape[1:]).to(x.dtype)) * (1 - k / probes)
        with torch.enable_grad(), outputs(module, cut=True) as seen:
            value = probability(target)(model(probe)).sum()
        total = total + torch.autograd.grad(value, seen[-1])[0]  # type: ignore[assignment]
    length = torch.linalg.vector_norm(total.flatten(1), dim=1).clamp_min(torch.finfo(x.dtype).tiny)  # type: ignore[attr-defined]
    return total / length.view(-1, *[1] * (total.ndim - 1))  # type: ignore[attr-defined]


@contextmanager
def outputs(module: nn.Module, cut: bool) -> Iterator[list[Tensor]]:
    """What the module puts out, pass by pass.  cut: gradients go no further down than here."""
    seen = []

    def keep(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_() if cut else output)
        return seen[-1].clone()  # the next layer may work in place

    handle = module.register_forward_hook(keep)
    try:
        with torch.compiler.set_stance("force_eager"):  # no hook acts in compiled code
            yield seen
    finally:
        handle.remove()
