"""GIG, Guided Integrated Gradients. Kapishnikov et al., CVPR 2021, https://arxiv.org/abs/2106.09788:

    A = sum over steps k of  (v_k - v_{k-1}) * d f(v_{k-1}) / d v,   v_0 = x0 … v_K = x

In a step the values of least |gradient| move first, `fraction` of all at a time, until the step's share of the L1
distance to x is covered; no value leaves the straight line by more than `max_distance` of its own way. As in the
authors' package, path and sums are float64 (which values have reached their bound is told by equality); the network
keeps its precision.
Departures: f is p_t, and there are 15 steps where that package takes 200, both as in the released programs. LA's takes
the softmax of the softmax, AttEXplore's the logit: `objective`.
Agrees with: the authors' package `saliency`, image by image. sum(A) tends to f(x) - f(x0) as steps grow if the network
is smooth; not with ReLUs: a path that seeks flat directions runs along their kinks, where a gradient knows one side.
Ranks amplify rounding: in fp32, maps made with another batch size or device differ visibly (in fp64 they agree).
Cost: `steps` forward and backward passes, and a forward pass at x that only the completeness gap needs.
"""

import math
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from bench.notes import note
from bench.ranges import Between, Count, Share
from bench.rng import Rng
from bench.types import Images, Objective, Targets
from methods.parts.gradient import at, gradients, per_image, probability

TOLERANCE = 1e-9  # relative and absolute: how close to its goal a step must come


def guided_integrated_gradients(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    steps: Count,
    fraction: Annotated[float, Between(0.001, 1)],
    max_distance: Share,
    baseline: Share,
    objective: Literal["probability", "logit", "softmax_of_softmax"],
) -> Images:
    """f(x) - f(x0) shared out over the input values, signed, in units of f.  rng: ignored, the method is deterministic.

    baseline: grey level of x0, in the units of x.  objective: f; `probability`, `logit` or `softmax_of_softmax`.
    """
    f = explained(objective, target)
    x0, x1 = torch.full_like(x, baseline).double(), x.double()
    v, attribution = x0, torch.zeros_like(x0)
    way = l1(x1 - x0)
    ends = []  # f at x0 and at x
    for k in range(1, steps + 1):
        logits, (gradient,) = gradients(model, v.to(x.dtype), [f])
        if k == 1:
            ends.append(f(logits))
        low, high = max(k / steps - max_distance, 0.0), min(k / steps + max_distance, 1.0)
        moved = advance(v, x0, x1, gradient.abs(), low, high, way * (1 - k / steps), fraction)
        attribution += (moved - v) * gradient
        v = moved
    with torch.no_grad():
        ends.append(f(model(x)))
    note(completeness_gap=attribution.flatten(1).sum(dim=1) - (ends[1] - ends[0]))
    return attribution.to(x.dtype)


def advance(
    v: Images, x0: Images, x1: Images, slope: Images, low: float, high: float, goal: Tensor, fraction: float
) -> Images:
    """Where a step leads from v: to an L1 distance of `goal`, [B, 1, 1, 1], from x1, flat directions first.

    All values end between `low` and `high`, shares of their way from x0 to x1. An image at its goal stands still.
    """
    lower, upper = x0 + (x1 - x0) * low, x0 + (x1 - x0) * high
    rank = int(fraction * (v[0].numel() - 1)) + 1  # of the order statistic that bounds the flattest values
    moving = torch.ones_like(goal, dtype=torch.bool)
    for _ in range(v[0].numel() // rank + 2):  # each round takes `rank` values to their upper bound, or is the last
        behind = (v - x0) / (x1 - x0) < low  # NaN, so not behind, where there is no way to go
        v = torch.where(moving & behind, lower, v)
        distance = l1(v - x1)
        moving = moving & ~torch.isclose(distance, goal, rtol=TOLERANCE, atol=TOLERANCE)
        if not moving.any():
            break
        free = torch.where(v == upper, math.inf, slope)
        limit = per_image(free.flatten(1).kthvalue(rank, dim=1).values)
        flattest = moving & (free <= limit) & (free < math.inf)
        share = (distance - goal) / l1((upper - v) * flattest)  # of their way up; > 1: they are not enough
        v = torch.where(flattest, torch.where(share > 1, upper, v + (upper - v) * share), v)
    return v


def explained(name: str, target: Targets) -> Objective:
    """The number that is differentiated."""
    match name:
        case "probability":
            return probability(target)
        case "logit":
            return lambda logits: at(logits, target)
        case "softmax_of_softmax":
            return lambda logits: at(logits.softmax(dim=1).softmax(dim=1), target)
        case _:
            raise ValueError(f"objective {name!r}: expected probability, logit or softmax_of_softmax")


def l1(difference: Images) -> Tensor:
    """Of each image, [B, 1, 1, 1]."""
    return per_image(difference.abs().flatten(1).sum(dim=1))
