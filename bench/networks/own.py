"""Networks of your own: any module, from any package."""

from collections.abc import Callable

from torch import nn
from torch.nn.parameter import is_lazy

from bench.errors import UserError
from bench.networks.network import Built
from bench.networks.weights import load, seeded
from bench.text import a_kind


def network(*, net: Callable[[], nn.Module], weights: str) -> Built:
    """`net` builds the module (`_target_` with `_partial_: true`), `weights` is a file with its state dict, or random."""
    module = seeded(net)
    if not isinstance(module, nn.Module):
        raise UserError(f"model.net._target_ builds {a_kind(module)}: expected a torch.nn.Module.")
    name = type(module).__name__
    file = load(module, weights, name)
    if shapeless := [where for where, value in module.state_dict().items() if is_lazy(value)]:
        raise UserError(f"{name} does not know the shape of {shapeless[0]} yet: give its lazy layers their sizes.")
    return Built(module, name=name, weights_file=file)
