"""IROF, iterative removal of features. Rieger & Hansen, 2020, https://arxiv.org/abs/2003.08747:

    IROF = 1 - area under  p_t(x without the k most important segments) / p_t(x),    k = 0 ... K, over [0, 1]

A segment weighs as much as the mean attribution in it, and is removed by painting it in the image's mean colour. Higher is
better; below 0 where removal makes the network surer.
Departure: square patches for superpixels (SLIC), whose number and shape depend on the image and on scikit-image's release.
Agrees with: a slow rewrite. Quantus's `IROF` sums instead of averaging, and stops where SLIC gives one segment.
"""

from typing import Annotated

import torch
from torch.nn.functional import avg_pool2d

from bench.exact import double
from bench.ranges import Between
from metrics.batch import MapBatch, Readings

QUANTITIES = {"score": {"title": "IROF", "better": "high"}}
DRAWS = False


@torch.inference_mode()
def irof(batch: MapBatch, *, patch: Annotated[int, Between(1, 8192)]) -> Readings:
    """score, [B], at most 1.

    patch: pixels a side; patches at the right and lower edge may be cut. Of patches of equal weight the first goes first.
    Costs as many forward passes as there are patches, and the clean image's.
    """
    x, height, width = batch.x, *batch.x.shape[2:]
    heat = double(batch.attribution).mean(dim=1, keepdim=True)
    weights = avg_pool2d(heat, patch, ceil_mode=True, count_include_pad=False)  # [B, 1, rows, columns]
    order = weights.flatten(1).argsort(dim=1, descending=True, stable=True)
    count = order.shape[1]
    turn = torch.empty_like(order).scatter_(1, order, torch.arange(count, device=order.device).expand_as(order))
    turn = turn.view_as(weights).to(x.device)
    turn = turn.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[:, :, :height, :width]

    colour, clean = x.mean(dim=(2, 3), keepdim=True), double(batch.clean()["probability"])
    kept = [torch.ones_like(clean)]
    for seen in batch.read_all(torch.where(turn < k, colour, x) for k in range(1, count + 1)):
        kept.append(double(seen["probability"]) / clean.clamp(min=torch.finfo(clean.dtype).tiny))
    return {"score": 1 - torch.trapezoid(torch.stack(kept, dim=1), dx=1 / count, dim=1)}
