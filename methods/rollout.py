"""Attention rollout. Abnar & Zuidema, ACL 2020, https://arxiv.org/abs/2005.00928, Section 3:

    R = A'_L ... A'_2 A'_1,    A'_l = residual I + (1 - residual) mean over heads of A_l

How much of each patch reaches, through the layers of attention and the shortcuts around them, the tokens that the network
reads its answer off. No class enters, and nothing but attention counts.
Departure: a network that averages its tokens has no class token, whose row of R the paper takes; there it is the mean of
the rows that are read, and a backward pass tells which they are.
Agrees with: a slow rewrite on the attention that Hugging Face, timm and torchvision give out when asked.
Cost: 1 forward and 1 backward pass.
"""

import torch
from torch import Tensor, nn

from bench.ranges import Share
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.attention import followed, passes


def attention_rollout(model: nn.Module, x: Images, target: Targets, rng: Rng, *, residual: Share) -> Images:
    """Not negative, the same in all channels; shares of 1.  residual: of the shortcut in a layer.  rng: ignored.

    Raises UserError for a network without tokens that all attend to each other.
    """

    def flow(attentions: list[Tensor], gradients: list[Tensor]) -> Tensor:
        shortcut = torch.eye(attentions[0].shape[-1], dtype=x.dtype, device=x.device)
        rollout = shortcut
        for a in attentions:
            rollout = (residual * shortcut + (1 - residual) * a.mean(dim=1)) @ rollout
        return rollout

    return followed(model, x, target, flow)


attention_rollout.passes = passes  # type: ignore[attr-defined]
