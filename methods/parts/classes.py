"""The classes that targeted paths lead to."""

import torch
from torch import Tensor

from bench.errors import UserError
from bench.rng import Rng
from bench.types import Targets


def explored_classes(rng: Rng, classes: list[int] | None, n: int, of: int) -> list[int]:
    """`classes` if given; else n different ones of 0 … of − 1 (all, if there are no more), one draw for the whole run."""
    if classes is not None:
        if max(classes) >= of:
            raise UserError(f"method.classes: there is no class {max(classes)}, the network has {of}, numbered from 0.")
        return list(classes)
    return rng.of_the_run().uniform(of)[0].argsort()[:n].tolist()


def other_than(target: Targets, t: int, of: int) -> Tensor:
    """Class t for every image; where t is the image's own class, its neighbour t + 1 (t − 1 for the last), as released."""
    substitute = t + 1 if t + 1 < of else t - 1
    return torch.where(target == t, substitute, t)
