"""The integral of a gradient along a straight line."""

import torch
from torch import nn

from bench.notes import note
from bench.types import Images, Targets
from methods.parts.gradient import at, gradients, probability


def straight_line(model: nn.Module, x0: Images, x: Images, target: Targets, *, steps: int) -> Images:
    """(x - x0) * integral over a in [0, 1] of  d p_t(x0 + a (x - x0)) / d x, by the trapezoid rule on `steps` points.

    Its sum should be p_t(x) - p_t(x0), and what it differs by is noted. `steps` forward and backward passes.
    """
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
