"""Insertion and deletion: order × baseline × readout.

Insertion starts from the baseline and reveals the most important values first; deletion starts from the image and takes
them away. Both are read off after every step, ends included (224 × 224 pixels, 224 a step: 225 points), and scored by the
area under the curve. Petsiuk, Das & Saenko, BMVC 2018 (RISE), https://arxiv.org/abs/1806.07421; the variants' sources
stand in conf/metric.
"""

from typing import Annotated, Literal

import torch

from bench.ranges import Between
from metrics.batch import MapBatch, Readings

QUANTITIES = {
    "insertion": {"title": "Insertion", "better": "high", "unit": "{readout}"},
    "deletion": {"title": "Deletion", "better": "low", "unit": "{readout}"},
    "gap": {"title": "GAP", "better": "high", "unit": "{readout}", "minus": ("insertion", "deletion")},
}
DRAWS = False


def perturbation(
    batch: MapBatch,
    *,
    order: Literal["channel_union", "channel", "element", "element_spread", "pixel"],
    baseline: Literal["black", "confusion", "grey", "blur", "linear"],
    readout: Literal["probability", "logit", "kl"],
    step: Annotated[int, Between(1)],
) -> Readings:
    """insertion and deletion, [B], areas over [0, 1]; insertion_curve and deletion_curve, [B, S + 1].

    readout: `probability` of the target, in [0, 1]; its `logit`, which goes on where the probability is all but 1; or `kl`:
    KL(uniform || p), in nats, which is large where the network is certain. Insertion is better when high, deletion when low.
    order: metrics/orders.py.  baseline: metrics/baselines.py, `linear`: metrics/imputation.py.  step: values a step.
    Costs 2 (S − 1) forward passes, and the two ends, which all metrics of a batch share.
    """
    insertion, deletion = (readings[readout] for readings in batch.curves(order, baseline, step))
    return {
        "insertion": area(insertion),
        "deletion": area(deletion),
        "insertion_curve": insertion,
        "deletion_curve": deletion,
    }


def area(curve: torch.Tensor) -> torch.Tensor:
    """Trapezoid rule on [0, 1]: [B, S + 1] -> [B]."""
    return torch.trapezoid(curve, dx=1 / (curve.shape[1] - 1), dim=1)
