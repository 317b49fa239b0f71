"""Localisation: does the map lie on the object? For images whose object is known (data=synthetic, data.masks=…).

    mass      share of the positive attribution that lies inside the mask (Arras, Osman & Samek, Information Fusion 2022,
              https://arxiv.org/abs/2003.07258: "relevance mass accuracy", channels summed, positive part)
    pointing  1 if the largest value lies inside the mask, else 0 (the pointing game: Zhang et al., ECCV 2016,
              https://arxiv.org/abs/1608.00507, without their tolerance at the edge)

Higher is better, and knows nothing of what the network uses: a network that looks at the ground has a faithful map off
the object. Beside both stands what chance gives, the share of the image that the mask covers. Pixels that a data set leaves
open (ImageNet-S's 1000) are as if they were not there.
"""

from typing import Literal

import torch
from torch import Tensor

from metrics.batch import MapBatch, Readings
from metrics.objects import heat_and_object, share

QUANTITIES = {
    "score": {"title": "Score", "better": "high"},
    "chance": {"title": "By chance", "better": "none"},
}
DRAWS = False


def localisation(batch: MapBatch, *, game: Literal["mass", "pointing"]) -> Readings:
    """score and chance, [B], in [0, 1]; a map without a positive value has a mass of 0. No passes.

    game: `mass` or `pointing`. A pixel's attribution is the sum of its channels; of equal largest values the first counts.
    Raises Unfit for images without a mask.
    """
    heat, inside, counted = heat_and_object(batch)
    games = {"mass": mass, "pointing": pointing}
    return {"score": games[game](heat, inside, counted), "chance": share(inside, counted)}


def mass(heat: Tensor, inside: Tensor, counted: Tensor) -> Tensor:
    """[B, HW], bool [B, HW] twice -> [B]."""
    positive = heat.double().clamp(min=0) * counted
    total = positive.sum(dim=1)
    return (positive * inside).sum(dim=1) / total.where(total > 0, 1)


def pointing(heat: Tensor, inside: Tensor, counted: Tensor) -> Tensor:
    """[B, HW], bool [B, HW] twice -> [B]."""
    largest = heat.masked_fill(~counted, -torch.inf).argmax(dim=1, keepdim=True)
    return inside.gather(1, largest).squeeze(1).to(heat.dtype)
