"""AttEXplore with other attacks, Zhu et al., ICLR 2024, Table 6: methods/sign_walk.py's walk, away from the label, with

    g_k = mean over i < scales of  d p_t(view(x'_k / 2^i)) / d x'_k,    x'_k = x_k + nesterov * (± alpha G_{k-1})

    noattack     g_k alone: MFABA's walk (Zhu et al. 2024) with longer steps and no stop
    pgd          from a random point of the box (Madry et al., ICLR 2018)
    difgsm       through diverse input, over its mean magnitude (Xie et al., CVPR 2019; methods/diverse_input.py)
    tifgsm       difgsm, blurred, so that it suits shifted images too (Dong et al., CVPR 2019)
    mifgsm       over its mean magnitude, with momentum (Dong et al., CVPR 2018)
    sinifgsm     mifgsm at five scales from Nesterov's point (Lin et al., ICLR 2020)

Departures from the released code (https://github.com/LMBTough/ATTEXPLORE, first upload): it differentiates a softmax of
the softmax, in effect p_t. In all but sinifgsm its gradients are never reset and pile up (`accumulate_grad`), and pgd's
first displacement starts at x, with the random jump in it (`jump_counts`), although its gradient is the random point's
(PGD-1); the files *_as_published.yaml do the same. Kept: sinifgsm looks back, not ahead (SINI-1,
`nesterov: -1`; Lin et al.: 1), and difgsm and tifgsm have no momentum. NAA is in methods/naa.py.
Agrees with: a slow rewrite, image by image, with torch's `interpolate`, `pad` and autograd, SciPy's `correlate1d`.
Cost: steps * scales forward and backward passes.
"""

from typing import Annotated

import torch
from torch import nn

from bench.ranges import Between, Count, GreyLevels, Share
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.diverse_input import Rate, diverse_gradient
from methods.parts.gradient import probability
from methods.parts.sign_walk import SENSE, BlurStd, BlurWidth, Decay, Direction, sign_walk


def attack_attribution(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    steps: Count,
    epsilon: GreyLevels,
    direction: Direction,
    random_start: bool,
    jump_counts: bool,
    diverse_rate: Rate,
    diverse_probability: Share,
    scales: Annotated[int, Between(1, 30)],
    nesterov: Annotated[int, Between(-10, 10)],
    accumulate_grad: bool,
    blur: BlurWidth,
    blur_std: BlurStd,
    normalise: bool,
    decay: Decay,
) -> Images:
    """In units of G; never negative unless the random jump counts.

    epsilon: grey levels, of 255.  nesterov: steps looked ahead; -1: one back.  The others: see methods/sign_walk.py.
    """
    bound = epsilon / 255
    jump = bound * (2 * rng.uniform(*x.shape[1:]).to(x.dtype) - 1) if random_start else torch.zeros_like(x)
    start = (x + jump).clamp(0, 1)
    reach = nesterov * SENSE[direction] * bound / steps

    def gradient_near(point: Images, momentum: Images) -> Images:
        total = torch.zeros_like(x)
        for i in range(scales):
            scaled = (point + reach * momentum) / 2**i
            gradient = diverse_gradient(
                model,
                scaled,
                probability(target),
                rng,
                rate=diverse_rate,
                probability=diverse_probability,
                resize_back=True,
            )
            total += gradient / 2**i  # the chain rule through the scale
        return total / scales

    return sign_walk(
        x,
        gradient_near,
        start=start,
        first=x if jump_counts else start,
        steps=steps,
        epsilon=epsilon,
        direction=direction,
        accumulate_grad=accumulate_grad,
        blur=blur,
        blur_std=blur_std,
        normalise=normalise,
        decay=decay,
    )
