"""The integral of a gradient along a straight line."""

import torch
from torch import Tensor, nn

from bench.notes import note, note_passes
from bench.passes import through
from bench.types import Images, Targets
from methods.parts.gradient import at, gradients, probability


def straight_line(model: nn.Module, x0: Images, x: Images, target: Targets, own: int, *, steps: int) -> Images:
    """(x - x0) * integral over a in [0, 1] of  d p_t(x0 + a (x - x0)) / d x, by the trapezoid rule on `steps` points.

    Its sum should be p_t(x) - p_t(x0), and what it differs by is noted. `steps` forward and backward passes.
    own: how many places hold an image of their own.
    """

    def seen(points: Images, places: Tensor) -> tuple[Tensor, Tensor]:
        logits, (gradient,) = gradients(model, points, [probability(target[places])])
        return gradient, at(logits.softmax(dim=1), target[places])

    points = (torch.lerp(x0, x, k / (steps - 1)) for k in range(steps))
    total = torch.zeros_like(x)
    ends = []  # p_t at x0 and at x
    for k, (gradient, p) in enumerate(through(seen, points, own)):
        end = k in (0, steps - 1)
        total += gradient / 2 if end else gradient
        if end:
            ends.append(p)
    attribution = (x - x0) * total / (steps - 1)
    note_passes(x, steps, steps)
    note(completeness_gap=attribution.flatten(1).sum(dim=1) - (ends[1] - ends[0]))
    return attribution
