"""Networks of your own: any module, from any package."""

from collections.abc import Callable

from torch import nn

from bench.networks.network import Built
from bench.networks.weights import load, seeded


def network(*, net: Callable[[], nn.Module], weights: str) -> Built:
    """`net` builds the module (`_target_` with `_partial_: true`), `weights` is a file with its state dict, or random."""
    module = seeded(net)
    return Built(module, name=type(module).__name__, weights_file=load(module, weights, type(module).__name__))
