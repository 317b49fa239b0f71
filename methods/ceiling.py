"""The control that looks for the best order itself, patch by patch: what insertion and deletion could be at most, roughly.

A greedy search over square patches. At each step every patch that has not gone yet is tried, and the best one goes:

    insertion   the largest  p_t(black with the patches gone and this one shown)
    gap         the largest of that minus p_t(x without the patches gone and this one)

A patch's value is how early it goes. Small patches show too little to be told from each other at first, large ones too much
at a time, so the search is made on side, side / 2, side / 4 ... patches along a side, and of each image the order is kept
whose objective, over sixteenths of the pixels, is the largest. It sees what every method sees, network, image and class, and
spends its passes on the score itself: it explains nothing. Greedy is not optimal: it is a high mark, not a bound.
Agrees with: a slow rewrite, one image and one patch at a time. Cost: for each number n = side² of patches n (n + 1) / 2 + 15
forward passes, twice that for gap.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from bench.exact import exact
from bench.notes import note_passes
from bench.passes import count_own, through
from bench.ranges import Between
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import at

Gains = Callable[
    [Iterable[Tensor]], Iterator[Tensor]
]  # of masks of what has gone, bool [B, H, W] each, the objective, [B]


@torch.no_grad()
def ceiling_map(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    side: Annotated[int, Between(2, 14)],
    optimises: Literal["insertion", "gap"],
) -> Images:
    """From n, the patch that goes first, to 1; the same in all channels.

    side: patches along a side, of the finest search.  optimises: the score that each step makes as large as it can.
    """
    gains = partial(_gains, model, x, target, count_own(rng.ids, len(x)), optimises)
    found = torch.stack([_searched(gains, x, k) for k in _sides(side)])  # [searches, B, H, W]
    areas = torch.stack([_area(gains, order) for order in found])
    note_passes(x, *passes(model, side=side, optimises=optimises))
    best = found[areas.argmax(dim=0), torch.arange(len(x), device=x.device)]
    return best[:, None].expand_as(x).contiguous()


def _searched(gains_of: Gains, x: Images, side: int) -> Tensor:
    """[B, H, W]: what is found on side² patches."""
    label, n = _patches(x, side), side * side
    images = torch.arange(len(x), device=x.device)
    value = torch.zeros(len(x), n, dtype=x.dtype, device=x.device)
    for step in range(n):
        gains = torch.full_like(value, -torch.inf)
        left = (value == 0).nonzero()[:, 1].view(len(x), n - step)  # of each image the patches that have not gone
        candidates = left.unbind(dim=1)
        for candidate, gain in zip(
            candidates, gains_of(_with(value > 0, c)[:, label] for c in candidates), strict=True
        ):
            gains[images, candidate] = gain
        value[images, gains.argmax(dim=1)] = n - step
    return value[:, label]


def _with(gone: Tensor, candidate: Tensor) -> Tensor:
    """bool [B, n], in which of each image its candidate, [B], has gone too."""
    return gone.scatter(1, candidate[:, None], True)


def _area(gains_of: Gains, order: Tensor) -> Tensor:
    """[B]: the objective's mean as sixteenths of the pixels go, the highest values first."""
    ranked = exact(order.flatten(1)).argsort(dim=1, descending=True, stable=True)
    rank = ranked.argsort(dim=1).view_as(order).to(order.device)
    pixels = order[0].numel()
    return sum(gains_of(rank < k * pixels // 16 for k in range(1, 16))) / 15  # type: ignore[return-value]


def _sides(side: int) -> list[int]:
    """side, half of it, ... down to 2."""
    return [side >> k for k in range(side.bit_length()) if side >> k >= 2]


def _gains(
    model: nn.Module, x: Images, target: Targets, own: int, optimises: str, gone: Iterable[Tensor]
) -> Iterator[Tensor]:
    """[B], float, of each mask of what has gone.  gone: bool [B, H, W] each."""
    nothing = torch.zeros_like(x)
    sides = {"insertion": [(x, nothing)], "gap": [(x, nothing), (nothing, x)]}[optimises]
    frames = (torch.where(mask[:, None], *side) for mask in gone for side in sides)
    seen = through(lambda images, places: (at(model(images).softmax(dim=1), target[places]),), frames, own)
    for (shown,) in seen:
        yield shown - next(seen)[0] if len(sides) == 2 else shown


def _patches(x: Images, side: int) -> Tensor:
    """int64 [H, W]: to which of side² patches, as equal as they can be, a pixel belongs."""
    rows, columns = (torch.arange(length, device=x.device) * side // length for length in x.shape[2:])
    return rows[:, None] * side + columns


def passes(network: nn.Module | None, *, side: int, optimises: str) -> tuple[int, int]:
    """Forward and backward passes of an image."""
    forward = sum(n * n * (n * n + 1) // 2 + 15 for n in _sides(side))
    return forward * (2 if optimises == "gap" else 1), 0


ceiling_map.passes = passes  # type: ignore[attr-defined]
