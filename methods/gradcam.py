"""Grad-CAM. Selvaraju et al., ICCV 2017, https://arxiv.org/abs/1610.02391, Eq. 1 and 2:

    A = upsample( ReLU( sum over k of  mean_hw(d p_t / d a_k) * a_k ) )

a_k is channel k of a layer's activation. Departures: the probability is differentiated, as in AttEXplore's release, not
the logit; its final scaling to [0, 1] is left out, it changes no ranking. All three colour channels get the same map.
Transformers: the tokens of a layer, without those that stand for no patch, are laid out as the grid of patches.
Agrees with: captum `LayerGradCam`. Cost: 1 forward and 1 (partial) backward pass.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import probability


def grad_cam(model: nn.Module, x: Images, target: Targets, rng: Rng, *, layer: str | None) -> Images:
    """Non-negative, the same in all channels.  layer: its name; None: the network's own choice.  rng: ignored."""
    seen = []

    def cut(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        """Differentiate no further down than here. The clone lets the next layer work in place."""
        seen.append(output.detach().requires_grad_())
        return seen[-1].clone()

    picture = model.picture(layer)
    handle = model.layer(layer).register_forward_hook(cut)
    try:
        with torch.enable_grad(), torch.compiler.set_stance("force_eager"):  # no hook acts in compiled code
            value = probability(target)(model(x)).sum()
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(value, seen[-1])
    activation, gradient = picture.lay_out(seen[-1].detach()), picture.lay_out(gradient)
    cam = (gradient.mean(dim=(2, 3), keepdim=True) * activation).sum(dim=1, keepdim=True).relu()
    return interpolate(cam, size=x.shape[2:], mode="bilinear", align_corners=False).expand_as(x).contiguous()
