"""How often a device would have to be waited for: Python asks for a tensor's value as a number, or for indices of what is
true. A GPU works while Python goes ahead, unless it is asked; a CPU shows it, too, as these are a handful of operators.
"""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

ASKS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal"}
INDEXES = {"index", "index_put", "index_put_"}  # by a mask: how many there are has to be known


class Waits(TorchDispatchMode):
    """Counts them, by operator, while it is entered."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    @property
    def count(self) -> int:
        return sum(self.seen.values())

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name in INDEXES and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in ASKS or by_mask:
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))
