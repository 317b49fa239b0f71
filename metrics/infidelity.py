"""INFD, infidelity. Yeh, Hsieh, Suggala, Inouye & Ravikumar, NeurIPS 2019, https://arxiv.org/abs/1901.09392:

    INFD = mean over draws of  (D - b u)^2,   D = z_t(x) - z_t(x - I),   u = sum(I * A / |A|)
    b    = mean(D u) / (mean(u^2) + 1e-8)

Do the scores of what a perturbation I took away foretell the fall D of the target's logit? Lower is better; b makes the
score blind to the map's scale (as captum's `normalize=True` does, but for the 1e-8, which asks that A have unit length).
AttEXplore's Table 8 (there INF, INFD and INF D), with the perturbation of its authors' later program: in `share` of the
values, drawn without replacement, I = clip(x + sigma N(0, 1), x - 1, x), so that x - I = clip(-sigma N(0, 1), 0, 1),
whatever x is: half of them become black, half dark.
What it measures: draws cost about the same D, so a map of one sign, whose u hardly varies, comes down to the variance of D,
and one whose sum wavers around 0 stays near mean(D^2). It measures constancy of sign as much as faithfulness.
Departures: theirs explains the label, here the run's target; theirs scales nothing, which punishes maps of tiny values.
Agrees with: captum `infidelity(..., normalize=True)` on the same perturbations.
"""

from collections.abc import Iterator
from typing import Annotated

import torch

from bench.exact import double, exact
from bench.ranges import Between, Count, Positive
from bench.types import Images
from metrics.batch import MapBatch, Readings

QUANTITIES = {"score": {"title": "Score", "better": "low", "unit": "logit²", "tailed": True}}
DRAWS = True


@torch.inference_mode()
def infidelity(
    batch: MapBatch, *, draws: Count, share: Annotated[float, Between(0.001, 1)], sigma: Positive
) -> Readings:
    """score, [B], in squared units of the logit; lower is better.

    draws: perturbations of an image; every method's maps meet the same ones.  share: of an image's values, that a draw
    perturbs.  sigma: in units of x. Costs `draws` forward passes and the clean image's; memory does not grow with draws.
    """
    x, rng = batch.x, batch.rng("infidelity")
    scores = double(batch.attribution.flatten(1))  # [B, 3HW]
    scores = scores / scores.norm(dim=1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
    clean = double(batch.clean()["logit"])

    foretold: list[torch.Tensor] = []  # u of each draw

    def perturbed() -> Iterator[Images]:
        for _ in range(draws):
            lots = exact(rng.integers(1 << 62, x[0].numel()))  # [B, 3HW]: the lowest lots are perturbed
            chosen = (lots <= lots.kthvalue(round(share * lots.shape[1]), dim=1, keepdim=True).values).to(x.device)
            noise = sigma * rng.normal(*x.shape[1:]).to(x.dtype)
            taken = torch.where(chosen.view_as(x), torch.clamp(x + noise, x - 1, x), 0)
            foretold.append((taken.flatten(1).to(scores.device) * scores).sum(dim=1))
            yield x - taken

    dd = du = uu = torch.zeros_like(clean)  # sums over draws
    for k, seen in enumerate(batch.read_all(perturbed())):
        d, u = clean - double(seen["logit"]), foretold[k]
        dd, du, uu = dd + d * d, du + d * u, uu + u * u
    b = du / (uu + draws * 1e-8)
    return {"score": (dd - 2 * b * du + b * b * uu) / draws}
