"""Average drop. Chattopadhay et al., WACV 2018 (Grad-CAM++), https://arxiv.org/abs/1710.11063, Section 4.1:

    drop = max(0, p_t(x) - p_t(M x)) / p_t(x),    M: the map, scaled to [0, 1]

Lower is better. A trap (Poppi et al., CVPR workshop 2021, https://arxiv.org/abs/2104.10252): the map that is 1 almost
everywhere wins, and knows nothing; read it beside sparseness or complexity. The paper prints percent.
Agrees with: a slow rewrite.
"""

from torch import finfo

from metrics.batch import MapBatch, Readings
from metrics.explained_part import whole_and_part

QUANTITIES = {"score": {"title": "Average drop", "better": "low"}}
DRAWS = False


def average_drop(batch: MapBatch) -> Readings:
    """score, [B], in [0, 1]. One forward pass, and the clean image's."""
    whole, part = whole_and_part(batch)
    return {"score": (whole - part).clamp(min=0) / whole.clamp(min=finfo(whole.dtype).tiny)}
