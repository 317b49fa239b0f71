"""SG, SmoothGrad. Smilkov, Thorat, Kim, Viegas & Wattenberg, ICML workshop 2017, https://arxiv.org/abs/1706.03825:

    A = mean over draws of  d p_t(x + sigma xi) / d x,   xi ~ N(0, 1) for every value

As released with LA and AttEXplore: the mean is signed, sigma is absolute (the paper's is a share of the image's range)
and noisy images are not clamped to [0, 1]. Departure: the noise comes from the image's own stream, not a global one.
Agrees with: captum `NoiseTunnel` over `Saliency` under the same noise; at sigma = 0 it is `sm_signed`.
Cost: `draws` forward and backward passes.
"""

import torch
from torch import nn

from bench.ranges import Count, Noise
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import input_gradient, probability


def smooth_grad(model: nn.Module, x: Images, target: Targets, rng: Rng, *, draws: Count, sigma: Noise) -> Images:
    """The mean gradient around x, signed, in 1 / units of x.  sigma: of the noise, in units of x."""
    total = torch.zeros_like(x)
    for _ in range(draws):
        noise = rng.normal(*x.shape[1:]).to(x.dtype).mul_(sigma)
        total += input_gradient(model, x + noise, probability(target))
    return total / draws
