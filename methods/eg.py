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

from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import nn

from bench.passes import count_own
from bench.ranges import Count
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import per_image, probability_gradients


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
    away = deque[Images]()  # x - r, of draws whose gradient is to come

    def points() -> Iterator[Images]:
        for _ in range(draws):
            r = references(rng, x)
            away.append(x - r)
            yield r + per_image(rng.uniform().to(x.dtype)) * away[-1]

    total = torch.zeros_like(x)
    for gradient in probability_gradients(model, points(), target, count_own(rng.ids, len(x))):
        total += away.popleft() * gradient
    return total / draws
