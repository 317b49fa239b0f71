"""Where a number is exact. Apple's MPS has no float64, and its sorts and int64 are not relied on: what needs them is worked
out on the CPU instead, and what becomes of it goes back. On every other device nothing moves.
"""

import torch
from torch import Tensor


def exact_device(device: torch.device | str) -> torch.device:
    """The device itself, or the CPU in place of Apple's MPS."""
    device = torch.device(device)
    return torch.device("cpu") if device.type == "mps" else device


def exact(values: Tensor) -> Tensor:
    """The same values on their `exact_device`, in their dtype."""
    return values.to(exact_device(values.device))


def double(values: Tensor) -> Tensor:
    """float64 of any shape, on its `exact_device`: moved first, as a device without float64 cannot make it."""
    return exact(values).double()
