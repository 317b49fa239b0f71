"""RISE. Petsiuk, Das & Saenko, BMVC 2018, https://arxiv.org/abs/1806.07421, Eq. 6 and Section 3.2:

    A = 1 / (N p)  sum over n of  p_t(x * M_n) M_n

M_n: s x s cells, each 1 with probability p, else 0, enlarged to (s + 1) cells a side and cut out at a random shift of less
than a cell. What a mask hides is black. A mask that shows nothing counts as any other.
Departures: masks come from the image's own stream, not one set for all images; enlarged by torch's bilinear interpolation,
which goes on flat in the outermost half of a cell, where scikit-image's mirrors.
Agrees with: a slow rewrite of the released code; the closed form where p_t is linear. Cost: N forward passes.
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.notes import note_passes
from bench.passes import count_own, through
from bench.ranges import Between
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import at, per_image


def rise(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    masks: Annotated[int, Between(1, 100_000)],
    cells: Annotated[int, Between(1, 8192)],
    share: Annotated[float, Between(0, 1, above=True)],
) -> Images:
    """Not negative, the same in all channels, in units of probability.

    masks: N.  cells: s.  share: p, of the cells that a mask shows.  Memory does not grow with masks.
    """
    shown = deque[Tensor]()  # masks whose pass is to come

    def masked() -> Iterator[Images]:
        for _ in range(masks):
            shown.append(random_mask(rng, x, cells, share))
            yield x * shown[-1]

    @torch.no_grad()
    def seen(images: Images, places: Tensor) -> tuple[Tensor]:
        return (at(model(images).softmax(dim=1), target[places]),)

    total = torch.zeros_like(x[:, :1])
    for (p,) in through(seen, masked(), count_own(rng.ids, len(x))):
        total += per_image(p) * shown.popleft()
    note_passes(x, masks, 0)
    return (total / (masks * share)).expand_as(x).contiguous()


def random_mask(rng: Rng, x: Images, cells: int, share: float) -> Tensor:
    """[B, 1, H, W] in [0, 1], a mask of its own for each image."""
    height, width = x.shape[2:]
    cell = math.ceil(height / cells), math.ceil(width / cells)
    shown = (rng.uniform(1, cells, cells) < share).to(x.dtype)
    size = tuple((cells + 1) * side for side in cell)
    smooth = interpolate(shown, size=size, mode="bilinear", align_corners=False)
    down, right = (rng.integers(side)[:, None] for side in cell)
    rows, columns = torch.arange(height, device=x.device) + down, torch.arange(width, device=x.device) + right
    image = torch.arange(len(x), device=x.device)[:, None, None]
    return smooth[:, 0][image, rows[:, :, None], columns[:, None, :]][:, None]


def passes(network: nn.Module | None, *, masks: int, **_: object) -> tuple[int, int]:
    """Forward and backward passes of an image: a dry run of thousands of masks would take its time."""
    return masks, 0


rise.passes = passes  # type: ignore[attr-defined]
