"""Ablation-CAM. Desai & Ramaswamy, WACV 2020, Eq. 4 and 5:

    A = upsample( ReLU( sum over k of  w_k a_k ) ),    w_k = ( p_t - p_t without channel k ) / p_t

a_k is channel k of a layer's activation; a channel is taken away by setting it to 0. No gradient enters.
Departure: the probability, not the logit, whose sign would turn the weights around. Unscaled.
Agrees with: pytorch-grad-cam `AblationCAM` up to its scaling to [0, 1]. Cost: 1 forward pass, and 1 for each channel.
"""

import torch
from torch import nn
from torch.nn.functional import interpolate

from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.activation import activation, channels, without_channel
from methods.parts.gradient import at, per_image


def ablation_cam(model: nn.Module, x: Images, target: Targets, rng: Rng, *, layer: str | None) -> Images:
    """Not negative, the same in all channels.  layer: its name; None: the network's own choice.  rng: ignored."""
    logits, seen = activation(model, x, layer)
    seen = model.picture(layer).lay_out(seen)
    whole = at(logits.softmax(dim=1), target)
    cam = torch.zeros_like(seen[:, :1])
    for k in range(seen.shape[1]):
        left = at(without_channel(model, x, layer, k).softmax(dim=1), target)
        cam += per_image((whole - left) / whole) * seen[:, k : k + 1]
    return interpolate(cam.relu(), size=x.shape[2:], mode="bilinear", align_corners=False).expand_as(x).contiguous()


def passes(network: nn.Module | None, *, layer: str | None) -> tuple[int, int]:
    """Forward and backward passes of an image; without a network, at most."""
    return channels(network, layer) + 1, 0


ablation_cam.passes = passes  # type: ignore[attr-defined]
