"""pytorch-grad-cam (https://github.com/jacobgil/pytorch-grad-cam): Score-CAM."""

import contextlib
import io

import torch
from torch import Tensor

from bench.benchmark.contest import Library, Material

GRAD_CAM = Library("pytorch-grad-cam", "grad-cam", "pytorch_grad_cam", '"grad-cam>=1.5"')


def score_cam(material: Material) -> Tensor:
    """[B, 1, H, W], each from 0 to 1."""
    from pytorch_grad_cam import ScoreCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(t) for t in material.on.target.tolist()]
    with ScoreCAM(material.net, [material.layer]) as cam, contextlib.redirect_stderr(io.StringIO()):  # its bars
        cam.batch_size = material.width
        with torch.no_grad():
            made = cam(material.on.x, targets)
    return torch.from_numpy(made)[:, None]
