"""Values in order, without saying where they were."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor


def ordered(values: Tensor) -> Tensor:
    """[B, N] ascending along N, NaN last. NumPy's sort takes a tenth of torch's time, which keeps track of places."""
    if values.device.type != "cpu":
        return values.sort(dim=1).values
    rows = values.numpy().copy()
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(np.ndarray.sort, rows))
    return torch.from_numpy(rows)
