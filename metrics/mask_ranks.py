"""How high do the object's pixels rank in the map? For images whose object is known to the pixel.

    rank_accuracy  share of the K highest pixels that lie inside the mask, K: its pixels (Arras, Osman & Samek, Information
                   Fusion 2022, https://arxiv.org/abs/2003.07258: "relevance rank accuracy"). By chance: the mask's share.
    auc_mask       chance that a pixel inside ranks above one outside, a tie counting half: the area under the ROC curve
                   (Fawcett 2006). By chance: 1/2, whatever the mask's share.

A pixel's attribution is the sum of its channels. Higher is better, and knows nothing of what the network uses.
Agrees with: Quantus `RelevanceRankAccuracy` and `AUC` (scikit-learn).
"""

import torch
from torch import Tensor

from metrics.batch import MapBatch, Readings, Unfit

QUANTITIES = {"score": {"title": "Score", "better": "high"}}
DRAWS = False


def rank_accuracy(batch: MapBatch) -> Readings:
    """score, [B], in [0, 1]; 0 for an empty mask. Of equal values the first counts. No passes. Unfit without masks."""
    heat, inside = heat_and_mask(batch)
    size = inside.sum(dim=1)
    order = heat.argsort(dim=1, descending=True, stable=True)
    first = torch.arange(heat.shape[1], device=heat.device) < size[:, None]
    return {"score": (inside.gather(1, order) & first).sum(dim=1).double() / size.clamp(min=1)}


def auc_mask(batch: MapBatch) -> Readings:
    """score, [B], in [0, 1]; 1/2 where the mask is empty or everything. No passes. Unfit without masks."""
    heat, inside = heat_and_mask(batch)
    ordered = heat.contiguous().sort(dim=1).values
    below, upto = (torch.searchsorted(ordered, heat.contiguous(), right=right) for right in (False, True))
    rank = (below + upto + 1).double() / 2  # from 1, equal values share the middle of theirs
    within = inside.sum(dim=1).double()
    pairs = within * (inside.shape[1] - within)
    won = (rank * inside).sum(dim=1) - within * (within + 1) / 2
    return {"score": torch.where(pairs > 0, won / pairs.clamp(min=1), 0.5)}


def heat_and_mask(batch: MapBatch) -> tuple[Tensor, Tensor]:
    """[B, HW], bool [B, HW]."""
    if batch.mask is None:
        raise Unfit(
            "rank_accuracy and auc_mask need to know where the object is, and these images come without masks; choose a "
            "source that has them (data=synthetic), or leave both out of metric=[…]."
        )
    return batch.attribution.sum(dim=1).flatten(1), batch.mask.flatten(1)
