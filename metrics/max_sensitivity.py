"""Max-sensitivity: how far does the map move when the image hardly does? Yeh, Hsieh, Suggala, Inouye & Ravikumar, NeurIPS
2019, https://arxiv.org/abs/1901.09392:

    SENS = max over draws of  |A(x + d) - A(x)| / |A(x)|,   each value of d uniform in [-radius, radius]

with Frobenius norms. Lower is better; a map that is the same for all images is best of all. What is explained is the same
class throughout, and a method that draws is dealt the same numbers again: what moves is the image alone.
Departures: x + d is cut to [0, 1], so that it is an image; a map of zeros is measured against 1.
Agrees with: captum `sensitivity_max` on the same perturbations. The maximum grows with the number of draws.
"""

from typing import Annotated

import torch

from bench.exact import double
from bench.ranges import Between, Positive
from metrics.batch import MapBatch, Readings

QUANTITIES = {"score": {"title": "Score", "better": "low"}}
DRAWS = True


def max_sensitivity(batch: MapBatch, *, draws: Annotated[int, Between(1, 1000)], radius: Positive) -> Readings:
    """score, [B], at least 0; lower is better.

    draws: perturbations of an image, the same for every method.  radius: of each value, in units of x. Explains the image
    `draws` times again: that many times the method's passes. Raises Unfit where maps were not made here.
    """
    rng, maps = batch.rng("max_sensitivity"), double(batch.attribution.flatten(1))
    worst = maps.new_zeros(len(maps))
    for _ in range(draws):
        moved = batch.x + radius * (2 * rng.uniform(*batch.x.shape[1:]).to(batch.x.dtype) - 1)
        difference = (double(batch.explain(moved.clamp(0, 1)).flatten(1)) - maps).norm(dim=1)
        worst = torch.maximum(worst, difference)
    size = maps.norm(dim=1)
    return {"score": worst / size.where(size > 0, 1)}
