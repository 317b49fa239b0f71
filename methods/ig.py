"""Integrated Gradients. Sundararajan, Taly & Yan, ICML 2017, https://arxiv.org/abs/1703.01365, Eq. 1:

    A = (x - x0) * integral over a in [0, 1] of  d p_t(x0 + a (x - x0)) / d x

by the trapezoid rule on `steps` points a = 0 … 1, as in the released programs, whose weights (captum's) sum to 1 - 1/steps;
here they sum to 1. That scales the map and changes no ranking.
Agrees with: captum `IntegratedGradients` on the same points; completeness, sum(A) = p_t(x) - p_t(x0).
Cost: `steps` forward and backward passes.
"""

import torch
from torch import nn

from bench.rng import Rng
from bench.types import Images, Targets
from methods.gradient import at, gradients, probability
from methods.notes import note


def integrated_gradients(
    model: nn.Module, x: Images, target: Targets, rng: Rng, *, steps: int, baseline: float
) -> Images:
    """p_t(x) - p_t(x0) shared out over the input values, signed, in units of probability.

    baseline: grey level of x0, in the units of x.  rng: ignored, the method is deterministic.
    """
    x0 = torch.full_like(x, baseline)
    total = torch.zeros_like(x)
    ends = []  # p_t at x0 and at x
    for k in range(steps):
        end = k in (0, steps - 1)
        logits, (gradient,) = gradients(model, torch.lerp(x0, x, k / (steps - 1)), [probability(target)])
        total += gradient / 2 if end else gradient
        if end:
            ends.append(at(logits.softmax(dim=1), target))
    attribution = (x - x0) * total / (steps - 1)
    note(completeness_gap=attribution.flatten(1).sum(dim=1) - (ends[1] - ends[0]))
    return attribution
