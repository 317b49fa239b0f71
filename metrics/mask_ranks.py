"""How high do the object's pixels rank in the map? For images whose object is known (data=synthetic, data.masks=…).

    rank_accuracy  share of the K highest pixels that lie inside the mask, K: its pixels (Arras, Osman & Samek, Information
                   Fusion 2022, https://arxiv.org/abs/2003.07258: "relevance rank accuracy"). By chance: the mask's share.
    auc_mask       chance that a pixel inside ranks above one outside, a tie counting half: the area under the ROC curve
                   (Fawcett 2006). By chance: 1/2, whatever the mask's share.

A pixel's attribution is the sum of its channels. Higher is better, and knows nothing of what the network uses. Pixels that a
data set leaves open (ImageNet-S's 1000) are as if they were not there.
Agrees with: Quantus `RelevanceRankAccuracy` and `AUC` (scikit-learn).
"""

import torch

from metrics.batch import MapBatch, Readings
from metrics.objects import heat_and_object, share

QUANTITIES = {
    "score": {"title": "Score", "better": "high"},
    "chance": {"title": "By chance", "better": "none"},
}
DRAWS = False


def rank_accuracy(batch: MapBatch) -> Readings:
    """score and chance, [B], in [0, 1]; 0 for an empty mask. Of equal values the first counts. Unfit without masks."""
    heat, inside, counted = heat_and_object(batch)
    size = inside.sum(dim=1)
    order = heat.masked_fill(~counted, -torch.inf).argsort(dim=1, descending=True, stable=True)
    first = torch.arange(heat.shape[1], device=heat.device) < size[:, None]
    found = (inside.gather(1, order) & first).sum(dim=1)
    return {"score": found.double() / size.clamp(min=1), "chance": share(inside, counted)}


def auc_mask(batch: MapBatch) -> Readings:
    """score and chance, [B], in [0, 1]; 1/2 where the mask is empty or everything. No passes. Unfit without masks."""
    heat, inside, counted = heat_and_object(batch)
    heat = heat.masked_fill(~counted, -torch.inf).contiguous()  # below all that counts
    ordered = heat.sort(dim=1).values
    below, upto = (torch.searchsorted(ordered, heat, right=right) for right in (False, True))
    rank = (below + upto + 1).double() / 2  # from 1, equal values share the middle of theirs
    rank = rank - (~counted).sum(dim=1, keepdim=True)
    within = inside.sum(dim=1).double()
    pairs = within * (counted.sum(dim=1) - within)
    won = (rank * inside).sum(dim=1) - within * (within + 1) / 2
    return {
        "score": torch.where(pairs > 0, won / pairs.clamp(min=1), 0.5),
        "chance": torch.full_like(within, 0.5),
    }
