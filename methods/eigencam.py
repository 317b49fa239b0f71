"""Eigen-CAM. Muhammad & Yeasin, IJCNN 2020, https://arxiv.org/abs/2008.00299:

    A = upsample( O v_1 ),    O = U S V',    O[hw, k] = channel k of a layer's activation at hw

The activation's projection on its first principal direction. No class enters, and the network's answer does not.
The sign of v_1 is arbitrary; here the value of largest magnitude is positive. `centre` takes each channel's mean off O
first, as pytorch-grad-cam does; the paper does not.
Agrees with: NumPy's SVD; pytorch-grad-cam up to sign and scale (`centre`). Cost: 1 forward pass.
"""

import torch
from torch import nn
from torch.nn.functional import interpolate

from bench.exact import exact
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.activation import activation


def eigen_cam(model: nn.Module, x: Images, target: Targets, rng: Rng, *, layer: str | None, centre: bool) -> Images:
    """Signed, the same in all channels.  layer: its name; None: the network's own choice.  rng: ignored."""
    seen = model.picture(layer).lay_out(activation(model, x, layer)[1])
    rows = seen.flatten(2).transpose(1, 2)  # [B, hw, K]
    if centre:
        rows = rows - rows.mean(dim=1, keepdim=True)
    maps = []
    for values in rows:  # one by one: the same digits at every place of a batch
        first = torch.linalg.svd(exact(values), full_matrices=False).Vh[0].to(values.device)
        cam = (values * first).sum(dim=1)
        largest = cam[cam.abs().argmax()]
        maps.append(cam * largest.sign())
    cam = torch.stack(maps).view(len(x), 1, *seen.shape[2:])
    return interpolate(cam, size=x.shape[2:], mode="bilinear", align_corners=False).expand_as(x).contiguous()
