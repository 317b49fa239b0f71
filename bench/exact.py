"""Where a number is exact. Apple's MPS has no float64, and its sorts and int64 are not relied on: what needs them is worked
out on the CPU instead, and what becomes of it goes back. On every other device nothing moves.
"""

import torch
from torch import Tensor

WIDE = (torch.float64, torch.int64, torch.int32)  # hold more digits than float32


def exact_device(device: torch.device | str) -> torch.device:
    """The device itself, or the CPU in place of Apple's MPS."""
    device = torch.device(device)
    return torch.device("cpu") if device.type == "mps" else device


def exact(values: Tensor) -> Tensor:
    """The same values on their `exact_device`, in their dtype."""
    return values.to(exact_device(values.device))


def keeps_apart(values: Tensor, dtype: torch.dtype) -> bool:
    """Whether most of the values that differ do so in a narrower dtype, too; of another, it is taken for granted."""
    if values.dtype not in WIDE or dtype == torch.float64:
        return True
    values = values.cpu()
    return 2 * len(values.to(dtype).unique()) >= len(values.unique())


def double(values: Tensor) -> Tensor:
    """float64 of any shape, on its `exact_device`: moved first, as a device without float64 cannot make it."""
    return exact(values).double()
