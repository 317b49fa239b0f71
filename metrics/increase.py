"""Increase in confidence. Chattopadhay et al., WACV 2018 (Grad-CAM++), https://arxiv.org/abs/1710.11063, Section 4.1: 1 if
the network is surer of the target when it sees the explained part alone, p_t(M x) > p_t(x), else 0; M as in average_drop.

Higher is better. The same trap: what hides next to nothing, and that by luck, wins.
Agrees with: a slow rewrite.
"""

from metrics.batch import MapBatch, Readings
from metrics.explained_part import whole_and_part

QUANTITIES = {"score": {"title": "Increase in confidence", "better": "high"}}
DRAWS = False


def increase(batch: MapBatch) -> Readings:
    """score, [B], 0 or 1. One forward pass, and the clean image's."""
    whole, part = whole_and_part(batch)
    return {"score": (part > whole).double()}
