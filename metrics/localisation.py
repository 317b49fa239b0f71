"""Localisation: does the map lie on the object? For images whose object is known to the pixel (data=synthetic).

    mass      share of the positive attribution that lies inside the mask (Arras, Osman & Samek, Information Fusion 2022,
              https://arxiv.org/abs/2003.07258: "relevance mass accuracy", channels summed, positive part)
    pointing  1 if the largest value lies inside the mask, else 0 (the pointing game: Zhang et al., ECCV 2016,
              https://arxiv.org/abs/1608.00507, without their tolerance at the edge)

Higher is better, and knows nothing of what the network uses: a network that looks at the ground has a faithful map off
the object. Beside both stands what chance gives, the share of the image that the mask covers.
"""

from typing import Literal

from torch import Tensor

from metrics.batch import MapBatch, Readings, Unfit

QUANTITIES = {"score": {"title": "Score", "better": "high"}}
DRAWS = False


def localisation(batch: MapBatch, *, game: Literal["mass", "pointing"]) -> Readings:
    """score, [B], in [0, 1]; a map without a positive value has a mass of 0. No passes.

    game: `mass` or `pointing`. A pixel's attribution is the sum of its channels; of equal largest values the first counts.
    Raises Unfit for images without a mask.
    """
    if batch.mask is None:
        raise Unfit(
            "localisation needs to know where the object is, and these images come without masks; choose a source that "
            "draws them (data=synthetic), or leave localisation and pointing out of metric=[…]."
        )
    heat, inside = batch.attribution.sum(dim=1).flatten(1), batch.mask.flatten(1)  # [B, HW]
    games = {"mass": mass, "pointing": pointing}
    return {"score": games[game](heat, inside)}


def mass(heat: Tensor, inside: Tensor) -> Tensor:
    """[B, HW], bool [B, HW] -> [B]."""
    positive = heat.double().clamp(min=0)
    total = positive.sum(dim=1)
    return (positive * inside).sum(dim=1) / total.where(total > 0, 1)


def pointing(heat: Tensor, inside: Tensor) -> Tensor:
    """[B, HW], bool [B, HW] -> [B]."""
    return inside.gather(1, heat.argmax(dim=1, keepdim=True)).squeeze(1).to(heat.dtype)
