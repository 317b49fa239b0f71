"""Complexity, the entropy of a map. Bhatt, Weller & Moura, IJCAI 2020, https://arxiv.org/abs/2005.00631, Definition 4:

    H = - sum over i of  q_i log q_i,    q_i = |A_i| / sum |A|,    over all n = 3HW values

0: one value has all the weight; log n: all weigh alike. It says how much there is to read, not whether it is true.
Agrees with: Quantus `Complexity`; SciPy's entropy.
"""

import math

from torch.special import entr

from bench.exact import double
from metrics.batch import MapBatch, Readings

QUANTITIES = {"score": {"title": "Complexity", "better": "low", "unit": "nats"}}
DRAWS = False


def complexity(batch: MapBatch) -> Readings:
    """score, [B], in nats; log n for a map of zeros. No passes."""
    weights = double(batch.attribution.flatten(1)).abs()
    total = weights.sum(dim=1, keepdim=True)
    entropy = entr(weights / total.where(total > 0, 1)).sum(dim=1)
    return {"score": entropy.where(total.squeeze(1) > 0, math.log(weights.shape[1]))}
