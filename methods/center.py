"""The control that knows that photographers centre their subject:

    A = exp( - (dx^2 + dy^2) / (2 sigma^2) ),   dx, dy: distance from the middle, as a share of the image's side

The rankings of the perturbation metrics do not depend on sigma; infidelity and the share of a map inside an object do.
"""

import torch
from torch import nn

from bench.ranges import Positive
from bench.rng import Rng
from bench.types import Images, Targets


def center_map(model: nn.Module, x: Images, target: Targets, rng: Rng, *, sigma: Positive) -> Images:
    """In (0, 1], the same in all channels and for all images.  sigma: as a share of the side. No passes."""
    height, width = x.shape[2:]
    dy, dx = ((torch.arange(n, dtype=x.dtype, device=x.device) + 0.5) / n - 0.5 for n in (height, width))
    distance2 = dy[:, None] ** 2 + dx**2  # [H, W]
    return torch.exp(-distance2 / (2 * sigma**2)).expand_as(x).clone(memory_format=torch.contiguous_format)
