"""A layer's activation, and what the network answers when part of it is taken away."""

import torch
from torch import Tensor, nn

from bench.types import Images, Logits

MOST_CHANNELS = 2048  # of the last stage of ResNet-50, among the widest there are


def activation(model: nn.Module, x: Images, layer: str | None) -> tuple[Logits, Tensor]:
    """The logits, and what the layer puts out, in its own layout. One forward pass, no gradient."""
    seen = []
    handle = model.layer(layer).register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):  # no hook acts in compiled code
            return model(x), seen[-1]
    finally:
        handle.remove()


def without_channel(model: nn.Module, x: Images, layer: str | None, channel: int) -> Logits:
    """The logits with one channel of the layer's output set to 0. One forward pass, no gradient."""

    def drop(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        output = output.clone()
        output.movedim(channel_axis(output), 0)[channel] = 0
        return output

    handle = model.layer(layer).register_forward_hook(drop)
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            return model(x)
    finally:
        handle.remove()


def channel_axis(output: Tensor) -> int:
    """1 of a convolution's [B, K, n, n], the last of Swin's [B, n, n, K] and of tokens [B, N, K]."""
    return 1 if output.ndim == 4 and output.shape[2] == output.shape[3] else output.ndim - 1


def channels(network: nn.Module | None, layer: str | None) -> int:
    """Of the layer's picture; without a network the most that can be expected."""
    if network is None:
        return MOST_CHANNELS
    return network.picture(layer).channels
