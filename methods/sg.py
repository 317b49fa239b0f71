"""SG, SmoothGrad. Smilkov, Thorat, Kim, Viegas & Wattenberg, ICML workshop 2017, https://arxiv.org/abs/1706.03825:

    A = mean over draws of  d p_t(x + sigma xi) / d x,   xi ~ N(0, 1) for every value

As released with LA and AttEXplore: the mean is signed, sigma is absolute (the paper's is a share of the image's range)
and noisy images are not clamped to [0, 1]. Departure: the noise comes from the image's own stream, not a global one.
Agrees with: captum `NoiseTunnel` over `Saliency` under the same noise; at sigma = 0 it is `sm_signed`.
Cost: `draws` forward and backward passes.
"""

import torch
from torch import nn

from bench.passes import count_own
from bench.ranges import Count, Noise
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import probability_gradients


def smooth_grad(model: nn.Module, x: Images, target: Targets, rng: Rng, *, draws: Count, sigma: Noise) -> Images:
    """The mean gradient around x, signed, in 1 / units of x.  sigma: of the noise, in units of x."""
    noisy = (x + rng.normal(*x.shape[1:]).to(x.dtype).mul_(sigma) for _ in range(draws))
    total = torch.zeros_like(x)
    for gradient in probability_gradients(model, noisy, target, count_own(rng.ids, len(x))):
        total += gradient
    return total / draws
