"""Generic attention explainability. Chefer, Gur & Wolf, ICCV 2021, https://arxiv.org/abs/2103.15679, Eq. 5 and 6 for
self-attention:

    R <- R + mean over heads of ReLU( d z_t / d A_l * A_l )  R,    layer by layer, from R = I

Relevance spreads along the attention that speaks for the class. The map is what the class token owes to each patch.
Departure: where a network averages its tokens instead, the mean of the rows that its head reads.
Agrees with: a slow rewrite on the attention that Hugging Face, timm and torchvision give out when asked.
Cost: 1 forward and 1 backward pass.
"""

import torch
from torch import Tensor, nn

from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.attention import followed, passes


def generic_attention(model: nn.Module, x: Images, target: Targets, rng: Rng) -> Images:
    """Not negative, the same in all channels.  rng: ignored.

    Raises UserError for a network without tokens that all attend to each other.
    """

    def flow(attentions: list[Tensor], gradients: list[Tensor]) -> Tensor:
        relevance = torch.eye(attentions[0].shape[-1], dtype=x.dtype, device=x.device)
        for a, gradient in zip(attentions, gradients, strict=True):
            relevance = relevance + (gradient * a).relu().mean(dim=1) @ relevance
        return relevance

    return followed(model, x, target, flow)


generic_attention.passes = passes  # type: ignore[attr-defined]
