"""Sparseness, the Gini index of a map. Chalasani, Chen, Chowdhury, Jha & Wu, ICML 2020, https://arxiv.org/abs/1810.06583:

    G = sum over i of (2 i - n - 1) |A|_i / ( n sum |A| ),    |A|_1 <= ... <= |A|_n: the magnitudes of all n = 3HW values

0: all values weigh alike; near 1: a few have all the weight. It says how much there is to read, not whether it is true.
Agrees with: Quantus `Sparseness` (which adds 1e-7 to every value).
"""

import torch

from bench.exact import double
from metrics.batch import MapBatch, Readings

QUANTITIES = {"score": {"title": "Sparseness", "better": "high"}}
DRAWS = False


def sparseness(batch: MapBatch) -> Readings:
    """score, [B], in [0, 1); 0 for a map of zeros. No passes."""
    weights = double(batch.attribution.flatten(1)).abs().sort(dim=1).values
    n, total = weights.shape[1], weights.sum(dim=1)
    ranks = torch.arange(1, n + 1, device=weights.device, dtype=weights.dtype)
    return {"score": (weights * (2 * ranks - n - 1)).sum(dim=1) / (n * total.where(total > 0, 1))}
