"""The control that knows nothing: a score drawn for every input value. What a metric gives it, a metric gives for free."""

from torch import nn

from bench.rng import Rng
from bench.types import Images, Targets


def random_map(model: nn.Module, x: Images, target: Targets, rng: Rng) -> Images:
    """Uniform in (0, 1), each image from its own stream. No passes."""
    return rng.uniform(*x.shape[1:]).to(x.dtype)
