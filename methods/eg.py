"""EG, Expected Gradients. Erion, Janizek, Sturmfels, Lundberg & Lee, Nature Machine Intelligence 2021,
https://arxiv.org/abs/1906.10670:

    A = mean over draws of  (x - r) * d p_t(r + a (x - r)) / dx,   r: another image,   a ~ U(0, 1)

Integrated Gradients averaged over baselines out of the data, by Monte Carlo: one point of one path a draw.
Departures: the paper draws r from the training set, here, as in the programs released with LA and AttEXplore, from the
images under evaluation, never the image itself. Those programs take one draw, hand over no label and so explain four
unrelated classes of one image in four; the other maps are zero, their scores those of the control `raster`.
No completeness gap is noted: sum(A) is p_t(x) - mean p_t(r) in expectation only, and the p_t(r) would cost another
forward pass a draw.
Agrees with: the closed form where p_t is linear; captum `IntegratedGradients` where r is black and a runs along a grid.
Cost: `draws` forward and backward passes.
"""

from collections.abc import Callable

import torch
from torch import nn

from bench.ranges import Count
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import input_gradient, per_image, probability


def expected_gradients(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    draws: Count,
    references: Callable[[Rng, Images], Images],
) -> Images:
    """Signed, in units of probability.  references: deals each image another one (bench/references.py)."""
    total = torch.zeros_like(x)
    for _ in range(draws):
        r = references(rng, x)
        a = per_image(rng.uniform().to(x.dtype))
        total += (x - r) * input_gradient(model, r + a * (x - r), probability(target))
    return total / draws
