"""The CAM family of torch-cam (https://github.com/frgfm/torch-cam), by class name: Grad-CAM++ (Chattopadhay et al., WACV
2018), XGrad-CAM (Fu et al., BMVC 2020), Layer-CAM (Jiang et al., TIP 2021), Score-CAM (Wang et al., CVPR workshop 2020),
Finer-CAM (Zhang et al., CVPR 2025) and others; conf/method holds presets.

    A = upsample( ReLU( sum over k of  w_k a_k ) ),    a_k: channel k of a layer's activation, w_k: by class

The layer and the layout of transformers' tokens are gradcam's. Departures: the map is not scaled to [0, 1], and the next
layer cannot overwrite the activation in place. The logit is differentiated, as in the papers. Score-CAM's masks multiply
pixels, so that what they hide is black.
Image by image, with the global generators on a stream of that image: Score-CAM's passes then have one shape.
Agrees with: torch-cam, called directly. Cost: 1 forward and 1 (partial) backward pass; Score-CAM: its channels and 2.
"""

from typing import Annotated, TypedDict

import torch
from torch import nn
from torch.nn.functional import interpolate

from bench.errors import UserError
from bench.ranges import Between, Count, Noise
from bench.rng import Rng
from bench.types import Images, Targets
from methods.external.library import member, own_stream, required
from methods.parts.activation import channels

MASKING = ("ScoreCAM", "SSCAM", "ISCAM")
INSTALL = '"heatproof[cam]" (torch-cam needs Python 3.11)'


class Options(TypedDict, total=False):
    """What the classes take; one may take more."""

    gamma: Annotated[float, Between(0, 100)]
    num_references: Count
    num_samples: Count
    std: Noise
    batch_size: Annotated[int, Between(1, 4096)]


def class_activation_map(
    model: nn.Module, x: Images, target: Targets, rng: Rng, *, name: str, options: Options, layer: str | None
) -> Images:
    """What `torchcam.methods.<name>(model, layer, **options)` gives, enlarged; not negative, the same in all channels.

    layer: its name; None: the network's own choice.  Raises UserError for a class that does not take one layer alone.
    """
    kind = member(required("torchcam.methods", INSTALL), name)
    module = model.layer(layer)
    maps = []
    for i in range(len(x)):
        stream = rng.for_images(torch.tensor([i], device=rng.keys.device))
        image = x[i : i + 1].detach().requires_grad_()
        try:
            cam = kind(model, module, reshape_transform=model.picture(layer).lay_out, **options)
        except (TypeError, ValueError) as error:
            raise UserError(f"method.options do not fit torch-cam's {name}: {error}.") from error
        # set after cam's own hooks, so that these keep what the next layer may overwrite
        handle = module.register_forward_hook(lambda module, inputs, output: output.clone())
        no_hook_acts_in_compiled_code = torch.compiler.set_stance("force_eager")
        try:
            with no_hook_acts_in_compiled_code, own_stream(stream, x.device), torch.enable_grad(), cam:
                logits = model(image)
                if name in MASKING:  # what was looked at is kept: passes of masks are plain ones
                    handle.remove()
                    cam.remove_hooks()
                made = cam(int(target[i]), logits, normalized=False)
        finally:
            handle.remove()
            cam.remove_hooks()
        maps.append(made[0].detach().view(1, 1, *made[0].shape[-2:]))
    return (
        interpolate(torch.cat(maps), size=x.shape[2:], mode="bilinear", align_corners=False).expand_as(x).contiguous()
    )


def passes(network: nn.Module | None, *, name: str, options: dict, layer: str | None) -> tuple[int, int] | None:
    """Forward and backward passes of an image; None: a dry run tells."""
    return (channels(network, layer) + 2, 0) if name == "ScoreCAM" else None


class_activation_map.passes = passes
