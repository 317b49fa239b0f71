"""contrast: the gradient, where the picture has something to see.

    A = |d p_t / d x| * |x - mean of x over its neighbours|

Costs 1 forward and 1 backward pass.
"""

from typing import Annotated

import torch
from torch import nn
from torch.nn import functional as F

from bench.ranges import Between
from bench.rng import Rng
from bench.types import Images, Targets


def contrast(
    model: nn.Module, x: Images, target: Targets, rng: Rng, *, reach: Annotated[int, Between(1, 50)]
) -> Images:
    """One score for each input value.  reach: pixels to either side that count as neighbours."""
    x = x.detach().requires_grad_()
    probability = model(x).softmax(dim=1).gather(1, target[:, None])
    (gradient,) = torch.autograd.grad(probability.sum(), x)
    padded = F.pad(x.detach(), [reach] * 4, mode="replicate")
    around = F.avg_pool2d(padded, 2 * reach + 1, stride=1)
    return gradient.abs() * (x.detach() - around).abs()
