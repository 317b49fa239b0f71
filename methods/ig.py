"""Integrated Gradients. Sundararajan, Taly & Yan, ICML 2017, https://arxiv.org/abs/1703.01365, Eq. 1:

    A = (x - x0) * integral over a in [0, 1] of  d p_t(x0 + a (x - x0)) / d x

by the trapezoid rule on `steps` points a = 0 … 1, as in the released programs, whose weights (captum's) sum to
1 - 1/steps; here they sum to 1. That scales the map and changes no ranking.
Agrees with: captum `IntegratedGradients` on the same points; completeness, sum(A) = p_t(x) - p_t(x0).
Cost: `steps` forward and backward passes.
"""

from typing import Annotated

import torch
from torch import nn

from bench.passes import count_own
from bench.ranges import Between, Share
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.integral import straight_line


def integrated_gradients(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    steps: Annotated[int, Between(2, 10_000)],
    baseline: Share,
) -> Images:
    """p_t(x) - p_t(x0) shared out over the input values, signed, in units of probability.

    baseline: grey level of x0, in the units of x.  rng: draws nothing, the method is deterministic.
    """
    return straight_line(model, torch.full_like(x, baseline), x, target, count_own(rng.ids, len(x)), steps=steps)
