"""torch-cam (https://github.com/frgfm/torch-cam): its metric, and Score-CAM."""

from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bench.benchmark.contest import Library, Material

TORCHCAM = Library("torch-cam", "torchcam", "torchcam", '"heatproof[cam]" (Python 3.11 or later)')


class Given:
    """Maps that are there, where the metric expects somebody who makes them."""

    def __init__(self, material: Material):
        self.model, self.maps = material.net, material.maps.mean(dim=1)

    def __call__(self, class_idx, scores, **_) -> list[Tensor]:
        return [self.maps]

    def fuse_cams(self, cams: list[Tensor]) -> Tensor:
        return cams[0]

    def _hooks_off(self):
        return nullcontext()


def insertion_and_deletion(material: Material) -> Tensor:
    """[1, 2], means over the images, which is all that it tells."""
    from torchcam.metrics import DeletionInsertionMetric

    step, size = material.job.metrics["pixel"].keywords["step"], material.on.x[0, 0].numel()  # type: ignore[attr-defined]
    softmax = partial(torch.softmax, dim=-1)
    extractor: Any = Given(material)
    metric = DeletionInsertionMetric(extractor, softmax, steps=-(-size // step), batch_size=material.width)
    metric.update(material.on.x, material.on.target.tolist())
    found = metric.summary()
    return torch.tensor([[found["insertion_auc"], found["deletion_auc"]]])


def score_cam(material: Material) -> Tensor:
    from torchcam.methods import ScoreCAM

    x = material.on.x
    with ScoreCAM(material.net, material.layer, batch_size=material.width, input_shape=tuple(x.shape[1:])) as cam:
        with torch.no_grad():
            logits = material.net(x)
        made = cam(material.on.target.tolist(), logits, normalized=False)[0]
    return interpolate(made.detach()[:, None], size=x.shape[2:], mode="bilinear", align_corners=False)
