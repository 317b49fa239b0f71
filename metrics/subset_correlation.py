"""Does the sum of a subset's attributions foretell what the network loses without it? The correlation over random subsets.

    score = mean over sizes of  corr over draws of ( sum of A over S,  z_t(x) - z_t(x without S) ),    |S| = size

Sensitivity-n (Ancona, Ceolini, Oztireli & Gross, ICLR 2018, https://arxiv.org/abs/1711.06104): many sizes. Faithfulness
correlation (Bhatt, Weller & Moura, IJCAI 2020, https://arxiv.org/abs/2005.00631): one. S is drawn from all 3HW values,
without replacement; what is taken away becomes the baseline. Higher is better, 1 is perfect.
A trap: large random subsets all look alike, so that the correlation is small for every method and noisy with few draws.
Agrees with: Quantus `FaithfulnessCorrelation` on the same subsets. Quantus's `SensitivityN` is another quantity: there the
subsets are the map's own most important values, one after the other.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor

from bench.exact import double, exact
from bench.ranges import Between, Length
from bench.types import Images
from metrics.batch import MapBatch, Readings

QUANTITIES = {"score": {"title": "Correlation", "better": "high"}}
DRAWS = True


@torch.inference_mode()
def subset_correlation(
    batch: MapBatch,
    *,
    shares: Annotated[list[Annotated[float, Between(0, 1, above=True)]], Length(1)],
    draws: Annotated[int, Between(2, 10_000)],
    baseline: Literal["black", "confusion", "grey", "blur"],
) -> Readings:
    """score, [B], in [-1, 1]; where either side does not vary the correlation is 0.

    shares: the sizes of subsets, as shares of the values.  draws: of each size; every method's maps meet the same ones.
    baseline: metrics/baselines.py. Costs `draws` forward passes for each share, and the clean image's.
    """
    x, rng, blank = batch.x, batch.rng("subset_correlation"), batch.baseline(baseline)
    scores = double(batch.attribution.flatten(1))  # [B, 3HW]
    scores = scores / scores.norm(dim=1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
    clean = double(batch.clean()["logit"])

    def without(share: float, sums: list[Tensor]) -> Iterator[Images]:
        """The images, of which random subsets are taken away, and in `sums` what these were held to be worth."""
        size = max(1, round(share * scores.shape[1]))
        for _ in range(draws):
            lots = exact(rng.integers(1 << 62, x[0].numel()))  # [B, 3HW]: the lowest lots are taken away
            taken = lots <= lots.kthvalue(size, dim=1, keepdim=True).values
            sums.append((scores * taken).sum(dim=1))
            yield torch.where(taken.view_as(x).to(x.device), blank, x)

    total = torch.zeros_like(clean)
    for share in shares:
        sums: list[Tensor] = []
        losses = [clean - double(seen["logit"]) for seen in batch.read_all(without(share, sums))]
        total = total + correlation(torch.stack(sums, dim=1), torch.stack(losses, dim=1))
    return {"score": total / len(shares)}


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's, row by row: [B, N], [B, N] -> [B]. What varies by no more than rounding does not vary."""
    a0, b0 = (values - values.mean(dim=1, keepdim=True) for values in (a, b))
    vary = (a0.norm(dim=1) > 1e-10 * a.norm(dim=1)) & (b0.norm(dim=1) > 1e-10 * b.norm(dim=1))
    return torch.where(vary, (a0 * b0).sum(dim=1) / (a0.norm(dim=1) * b0.norm(dim=1)).where(vary, 1), 0)
