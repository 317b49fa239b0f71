"""The attention of a transformer while it runs, whoever wrote it: timm, torchvision, Hugging Face.

They call one of two things, the fused `scaled_dot_product_attention`, which gives no attention away, or a softmax over
[.., N, N]. Both are seen as function calls, so no module is named, changed or hooked; the fused one is worked out as the
formula that it stands for.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.errors import UserError
from bench.types import Images, Targets
from methods.parts.functions import SeenFunctions
from methods.parts.gradient import at

Flow = Callable[[list[Tensor], list[Tensor]], Tensor]


class Attentive(SeenFunctions):
    """While it is on, `seen` gathers every attention, [B, heads, N, N], as part of the graph."""

    def __init__(self, batch: int):
        super().__init__()
        self.batch, self.seen = batch, []  # type: ignore[var-annotated]

    def call(self, func: Callable, name: str, args: tuple, kwargs: dict) -> object:
        if name == "scaled_dot_product_attention":
            return self.fused(*args, **kwargs)
        made = func(*args, **kwargs)
        return self.keep(made) if name == "softmax" and made.ndim > 2 else made

    def fused(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        attn_mask=None,
        dropout_p=0.0,
        is_causal=False,
        scale=None,
        enable_gqa=False,
    ) -> Tensor:
        """softmax(q k' / sqrt(d)) v. No dropout in eval mode."""
        if enable_gqa:
            k, v = (t.repeat_interleave(q.shape[-3] // t.shape[-3], dim=-3) for t in (k, v))
        scores = q * (scale or 1 / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)
        if is_causal:
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        return self.keep(scores.softmax(-1)) @ v

    def keep(self, p: Tensor) -> Tensor:
        """The attention as the network goes on with it: what is kept must be what later layers are differentiated by."""
        *groups, queries, keys = p.shape
        if queries != keys or groups[0] % self.batch or len(groups) == 2 and groups[0] != self.batch or len(groups) > 2:
            raise UserError(
                f"This network has an attention of shape {list(p.shape)} for a batch of {self.batch}, from windows of "
                "the image or a pooling query: rollout and generic_attention follow tokens that all attend to each other "
                "(ViT, DeiT). Use another method, gradcam for one."
            )
        self.seen.append(p if len(groups) == 2 else p.unflatten(0, (self.batch, -1)))
        return self.seen[-1] if len(groups) == 2 else self.seen[-1].flatten(0, 1)


def attention(model: nn.Module, x: Images, target: Targets) -> tuple[list[Tensor], list[Tensor]]:
    """Layer by layer the attention A and d z_t / d A, each [B, heads, N, N], from one forward and one backward pass.

    Raises UserError for a network without attention, or in which not all tokens attend to each other.
    """
    with torch.compiler.set_stance("force_eager"), torch.enable_grad(), Attentive(len(x)) as attentive:
        logits = model(x.detach().requires_grad_())
    seen = attentive.seen
    if not seen or len({a.shape[-1] for a in seen}) > 1:
        raise UserError(
            "rollout and generic_attention follow one set of tokens through the layers of a transformer (ViT, DeiT); this "
            f"network has {_counted(seen)}. Use another method, gradcam for one."
        )
    gradients = torch.autograd.grad(at(logits, target).sum(), seen)
    return [a.detach().to(x.dtype) for a in seen], [gradient.to(x.dtype) for gradient in gradients]


def _counted(seen: list[Tensor]) -> str:
    """'no layer of attention'; '4 layers of attention, over 16 and 64 tokens'."""
    if not seen:
        return "no layer of attention"
    tokens = sorted({a.shape[-1] for a in seen})
    return f"{len(seen)} layers of attention, over {' and '.join(map(str, tokens))} tokens"


def followed(model: nn.Module, x: Images, target: Targets, flow: Flow) -> Images:
    """What the tokens that the network reads its answer off owe to each patch, enlarged to the image.

    flow: from the layers' A and d z_t / d A of one image what each token owes to each, [1, N, N].
    The tokens that are read are those whose row of the last d z_t / d A is not zero: the class token or, where a network
    averages, all patches. Image by image: in batches of odd matrices a last digit would depend on the place.
    """
    maps = []
    for i in range(len(x)):
        attentions, gradients = attention(model, x[i : i + 1], target[i : i + 1])
        read = gradients[-1].abs().sum(dim=(0, 1, 3)) > 0  # [N]
        side = int(len(read) ** 0.5)
        if not read.any():  # a head of zeros, as torchvision's before training: the token that it would read
            read[: 1 if len(read) > side * side else None] = True
        tokens = flow(attentions, gradients)[:, read].mean(dim=1)
        patches = tokens[:, -side * side :].view(1, 1, side, side)  # other tokens stand first
        maps.append(interpolate(patches, size=x.shape[2:], mode="bilinear", align_corners=False))
    return torch.cat(maps).expand_as(x).contiguous()


def passes(network: nn.Module | None, **_: object) -> tuple[int, int]:
    """One forward and one backward pass of an image, said for a forecast, whose network has no attention."""
    return 1, 1
