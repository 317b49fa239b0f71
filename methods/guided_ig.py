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

from bench.exact import double
from bench.notes import note
from bench.ranges import Between, Count, Share
from bench.rng import Rng
from bench.types import Images, Objective, Targets
from methods.parts.gradient import at, gradients, probability
from methods.parts.ordered import ordered

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
    x0 = torch.full_like(x, baseline)
    way, start = double(flat(x)) - double(flat(x0)), double(flat(x0))
    length = way.abs()
    total = length.sum(dim=1, keepdim=True)
    share, attribution = torch.zeros_like(way), torch.zeros_like(way)  # of each value's way; of units of f per way
    ends = []  # f at x0 and at x
    for k in range(1, steps + 1):
        point = torch.addcmul(start, way, share)
        logits, (gradient,) = gradients(model, torch.empty_like(x).copy_(point.view(x.shape)), [f])
        if k == 1:
            ends.append(f(logits))
        gradient = flat(gradient).to(way.device)
        low, high = max(k / steps - max_distance, 0.0), min(k / steps + max_distance, 1.0)
        moved = advance(share, length, gradient.abs(), low, high, total * (1 - k / steps), fraction)
        attribution.addcmul_(torch.sub(moved, share, out=share), gradient.double())
        share = moved
    with torch.no_grad():
        ends.append(f(model(x)))
    attribution = attribution.mul_(way)
    note(completeness_gap=attribution.sum(dim=1) - (ends[1] - ends[0]).to(way.device))
    return torch.empty_like(x).copy_(attribution.view(x.shape))


def advance(
    share: Tensor, length: Tensor, slope: Tensor, low: float, high: float, goal: Tensor, fraction: float
) -> Tensor:
    """The shares of their way that values have gone after a step, [B, N]: to an L1 distance of `goal`, [B, 1], from its
    end, flat directions first. An image at its goal stands still.

    length: of each value's way.  low, high: all shares end between them.

    Values are taken in groups of `fraction` of all, by their slope; equal slopes go together. A group goes to `high` if it
    is still too far then, else as far as is needed.
    """
    share = share.clamp_min(low)
    room = (high - share).mul_(length)  # what each can still add
    need = room.sum(dim=1, keepdim=True) + (1 - high) * length.sum(dim=1, keepdim=True) - goal
    size = int(fraction * (share.shape[1] - 1)) + 1
    slope = slope.masked_fill(room == 0, math.inf)
    group, past = torch.zeros_like(room), torch.empty_like(room)
    beyond = [room.sum(dim=1, keepdim=True)]  # the room of all groups from here on
    for limit in limits(slope, size):
        group.add_(torch.gt(slope, limit, out=past))
        beyond.append(past.mul_(room).sum(dim=1, keepdim=True))
    left = torch.cat([*beyond, torch.zeros_like(need)], dim=1)
    left, rooms = need - left[:, :1] + left[:, :-1], left[:, :-1] - left[:, 1:]  # [B, groups]
    there = left <= TOLERANCE + TOLERANCE * goal
    part = torch.where(there, 0, (left / rooms).clamp(max=1))  # of its room, by group
    return torch.lerp(share, torch.full_like(need, high), part.gather(1, group.long()), out=share)


def limits(free: Tensor, size: int) -> list[Tensor]:
    """The highest value of each group but the last, [B, 1]: `size` values, and those that equal the last of them."""
    values = ordered(free)
    most = values.shape[1]
    taken = torch.zeros_like(values[:, :1], dtype=torch.long)
    found = []
    for _ in range(-(-most // size) - 1):
        found.append(values.gather(1, (taken + size - 1).clamp(max=most - 1)))
        taken = torch.searchsorted(values, found[-1], right=True)
    return found


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


def flat(images: Images) -> Tensor:
    """[B, 3 H W], in one order for all memory layouts."""
    return images.flatten(1).contiguous()
