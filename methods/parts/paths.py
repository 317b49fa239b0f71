"""Paths that end early, walked side by side in passes that are always full and always of the same shape.

From every image go `runs` paths. They stand in a queue, every image's first before any image's second, and are walked
in `width` slots; a slot whose path has ended takes the next one. When the queue is empty, idle slots carry on
whatever they last held, so that no pass changes its shape.

What an image gets does not depend on the packing, to the last bit: a path's own sum grows in its slot, and these sums
are added up in the order of the runs. One that is ready before its turn waits; while `width` of them wait, no new
path starts. The path that is waited for is always under way, as it stood further ahead in the queue. So memory is a
few times `width` images, whatever the number of runs and steps.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bench.types import Images


@dataclass
class Slots:
    """One path a slot."""

    image: Int[Tensor, " width"]  # which image it set out from
    run: Int[Tensor, " width"]  # which of the image's paths it is
    taken: Int[Tensor, " width"]  # steps it has taken
    origin: Float[Tensor, "width 3 H W"]  # where it set out
    point: Float[Tensor, "width 3 H W"]  # where it is
    total: Float[Tensor, "width 3 H W"]  # the sum of what its steps left so far


Step = Callable[[Slots], tuple[Images, Images, Bool[Tensor, " B"]]]
"""One pass of the network: the next point, what the step leaves, and whether the path ends where it is, without
it."""


@dataclass
class Journey:
    """What the paths of each image came to."""

    total: Images  # the sum over its paths of what their steps left
    end: Images  # where the last of its runs ended
    looks: Int[Tensor, " B"]  # passes in which one of its own paths was under way
    steps: Int[Tensor, " B"]  # steps that its paths took


@dataclass
class Path:
    image: int
    run: int
    taken: int = 0


class InOrder:
    """A sum over the runs of each image, in their order. What is ready before its turn waits."""

    def __init__(self, x: Images):
        self.sum = torch.zeros_like(x)
        self.turn = [0] * len(x)
        self.waiting: dict[tuple[int, int], Tensor] = {}

    def add(self, image: int, run: int, value: Tensor) -> None:
        self.waiting[image, run] = value.clone()
        while (image, self.turn[image]) in self.waiting:
            self.sum[image] += self.waiting.pop((image, self.turn[image]))
            self.turn[image] += 1


def follow(x: Images, step: Step, *, runs: int, steps: int, width: int, own: int | None = None) -> Journey:
    """Walk `runs` paths from each image, each until `step` ends it or it has taken `steps` steps.

    own: how many places hold an image of their own; those behind them repeat the last one, and so does what comes of them.
    None: all do.
    """
    own = len(x) if own is None else own
    queue = deque(Path(image, run) for run in range(runs) for image in range(own))
    slots: list[Path | None] = [None] * width
    point = x[:1].repeat(width, 1, 1, 1)
    total = torch.zeros_like(point)
    end, sums = x.clone(), InOrder(x)
    looks, taken = [0] * len(x), [0] * len(x)

    while queue or any(slots):
        for slot, path in enumerate(slots):
            if path is None and queue and len(sums.waiting) < width:
                slots[slot] = queue.popleft()
                point[slot], total[slot] = x[slots[slot].image], 0

        facts = [(path.image, path.run, path.taken) if path else (0, 0, 0) for path in slots]
        image, run, so_far = torch.tensor(facts, device=x.device).unbind(dim=1)
        following, share, ends = step(Slots(image, run, so_far, x[image], point, total))
        stays = ends[:, None, None, None]
        point, total = torch.where(stays, point, following), torch.where(stays, total, total + share)

        for slot, ended in enumerate(ends.tolist()):
            if path := slots[slot]:
                looks[path.image] += 1
                taken[path.image] += not ended
                path.taken += not ended
                if ended or path.taken >= steps:
                    slots[slot] = None
                    sums.add(path.image, path.run, total[slot])
                    if path.run == runs - 1:
                        end[path.image] = point[slot]

    of = torch.arange(len(x), device=x.device).clamp(max=own - 1)
    told = (torch.tensor(count, device=x.device)[of] for count in (looks, taken))
    return Journey(sums.sum[of], end[of], *told)
