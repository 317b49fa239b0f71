"""Rollout and generic attention beside rewrites on attention that the libraries give out themselves."""

import pytest
import torch
import torchvision
from conftest import CLASSES, SIZE, Vit, network, small
from timm.models import VisionTransformer
from torch import nn
from torch.nn.functional import interpolate

from bench.errors import UserError
from methods.generic_attention import generic_attention
from methods.parts.attention import attention
from methods.rollout import attention_rollout


def scaled(net):
    for parameter in net.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return network(net, feature_layer=None).double()


def slow_map(attentions, gradients, rows, kind):
    """attentions, gradients: [heads, N, N] of each layer, of one image; rows: of the tokens that are read."""
    n = attentions[0].shape[-1]
    r = torch.eye(n, dtype=torch.float64)
    for a, g in zip(attentions, gradients, strict=True):
        if kind == "rollout":
            mixed = (a.mean(0) + torch.eye(n)) / 2
            r = mixed @ r
        else:
            spread = torch.zeros(n, n, dtype=torch.float64)
            for head in range(len(a)):
                spread += (g[head] * a[head]).clamp(min=0) / len(a)
            r = r + spread @ r
    tokens = r[rows].mean(0)
    side = int(n**0.5)
    grid = tokens[n - side * side :].view(1, 1, side, side)
    return interpolate(grid, size=(SIZE, SIZE), mode="bilinear", align_corners=False)[0].expand(3, -1, -1)


def of_timm(net, x, t):
    """Attention by hooks on its dropout, which sees it where it is not fused."""
    seen = []
    handles = []
    for block in net.net.blocks:
        block.attn.fused_attn = False
        handles.append(block.attn.attn_drop.register_forward_hook(lambda m, i, o: seen.append(o)))
    z = net(x.requires_grad_())[0, t]
    for handle, block in zip(handles, net.net.blocks, strict=True):
        handle.remove()
        block.attn.fused_attn = True
    return [a[0] for a in seen], [g[0] for g in torch.autograd.grad(z, seen)]


def of_torchvision(net, x, t):
    """Attention worked out from each block's own projections, in place of what the block makes of them."""
    seen = []

    def attend(module, args, kwargs, output):
        q, k, v = nn.functional.linear(args[0], module.in_proj_weight, module.in_proj_bias).chunk(3, -1)
        q, k, v = (m.unflatten(-1, (module.num_heads, -1)).transpose(1, 2) for m in (q, k, v))
        seen.append((q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1))
        return module.out_proj((seen[-1] @ v).transpose(1, 2).flatten(2)), None

    layers = net.net.encoder.layers
    handles = [b.self_attention.register_forward_hook(attend, with_kwargs=True) for b in layers]
    z = net(x.requires_grad_())[0, t]
    for handle in handles:
        handle.remove()
    return [a[0] for a in seen], [g[0] for g in torch.autograd.grad(z, seen)]


def of_hugging_face(net, x, t):
    output = net.net.model(pixel_values=((x.requires_grad_() - net.mean) / net.std), output_attentions=True)
    gradients = torch.autograd.grad(output.logits[0, t], output.attentions)
    return [a[0] for a in output.attentions], [g[0] for g in gradients]


@pytest.mark.parametrize("kind", ["rollout", "generic"])
@pytest.mark.parametrize("pool", ["token", "avg"])
def test_agrees_with_a_slow_rewrite_on_timm(kind, pool, x, rng):
    torch.manual_seed(0)
    made = dict(img_size=SIZE, patch_size=4, embed_dim=12, depth=3, num_heads=2, num_classes=CLASSES)
    net = scaled(VisionTransformer(**made, global_pool=pool, class_token=pool == "token", reg_tokens=2, fc_norm=False))
    n_prefix = net.net.num_prefix_tokens
    rows = [0] if pool == "token" else slice(n_prefix, None)
    target = net(x).argmax(1)
    expected = torch.stack([slow_map(*of_timm(net, x[i : i + 1], target[i]), rows, kind) for i in range(4)])
    torch.testing.assert_close(explain(kind, net, x, target, rng), expected, rtol=1e-9, atol=1e-12)
    assert expected.std(dim=(1, 2, 3)).min() > 1e-6


def explain(kind, net, x, target, rng):
    if kind == "rollout":
        return attention_rollout(net, x, target, rng, residual=0.5)
    return generic_attention(net, x, target, rng)


@pytest.mark.parametrize("kind", ["rollout", "generic"])
def test_agrees_with_a_slow_rewrite_on_torchvision(kind, x, rng):
    torch.manual_seed(0)
    net = scaled(
        torchvision.models.VisionTransformer(
            image_size=SIZE, patch_size=4, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=24, num_classes=CLASSES
        )
    )
    target = net(x).argmax(1)
    expected = torch.stack([slow_map(*of_torchvision(net, x[i : i + 1], target[i]), [0], kind) for i in range(4)])
    torch.testing.assert_close(explain(kind, net, x, target, rng), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("token", [True, False])
def test_a_head_of_zeros_is_taken_to_read_what_it_would(token, x, rng):
    torch.manual_seed(0)
    made = dict(img_size=SIZE, patch_size=4, embed_dim=12, depth=2, num_heads=2, num_classes=CLASSES)
    net = scaled(VisionTransformer(**made, global_pool="token" if token else "avg", class_token=token))
    target = torch.zeros(4, dtype=torch.long)
    whole = attention_rollout(net, x, target, rng, residual=0.5)
    for parameter in net.net.head.parameters():
        parameter.data.zero_()
    assert torch.equal(attention_rollout(net, x, target, rng, residual=0.5), whole)
    assert generic_attention(net, x, target, rng).std() < (1e-12 if token else 1)


class Answers(nn.Module):
    """A Hugging Face classifier as a module from images to logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(pixel_values=x).logits


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["rollout", "generic"])
@pytest.mark.parametrize("fused", [True, False])
def test_agrees_with_the_attention_that_hugging_face_gives_out(kind, fused, x, rng):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        image_size=SIZE, patch_size=4, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24
    )
    config.num_labels = CLASSES
    torch.manual_seed(0)
    net = scaled(Answers(transformers.ViTForImageClassification(config)))
    target = net(x).argmax(1)
    net.net.model.set_attn_implementation("eager")
    expected = torch.stack([slow_map(*of_hugging_face(net, x[i : i + 1], target[i]), [0], kind) for i in range(4)])
    net.net.model.set_attn_implementation("sdpa" if fused else "eager")
    # there the eager softmax is worked out in float32 even of float64
    torch.testing.assert_close(explain(kind, net, x, target, rng), expected, rtol=1e-5, atol=1e-7)


def test_what_is_worked_out_in_place_of_fused_attention_is_a_distribution(x):
    net = small(Vit)
    attentions, _ = attention(net, x, net(x).argmax(1))
    assert [a.shape for a in attentions] == [(4, 2, 17, 17)] * 3
    for a in attentions:
        torch.testing.assert_close(a.sum(-1), torch.ones(4, 2, 17, dtype=torch.float64))


def test_an_attention_that_looks_at_one_patch_alone_leaves_one_patch(x, rng):
    """Every token attends to the patch in row 1, column 2 with all its weight."""

    class Fixed(nn.Module):
        def forward(self, x):
            tokens = nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4).flatten(1)  # [B, 16]
            scores = torch.full((len(x), 1, 16, 16), -1e4, dtype=x.dtype)
            scores[..., 6] = 1e4
            return (
                ((scores + 0 * tokens[:, None, None]).softmax(-1) @ tokens[:, None, :, None]).mean((1, 2)).expand(-1, 6)
            )

    made = attention_rollout(network(Fixed()).double(), x, torch.zeros(4, dtype=torch.long), rng, residual=0.0)
    grid = made[0, 0].view(4, 4, 4, 4).mean((1, 3))
    assert grid.argmax() == 6


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        lambda: torchvision.models.SwinTransformer([4, 4], 12, [1, 1], [2, 2], [2, 2], num_classes=CLASSES),
        lambda: VisionTransformer(
            img_size=64,
            patch_size=16,
            embed_dim=12,
            depth=1,
            num_heads=2,
            num_classes=6,
            global_pool="map",
            class_token=False,
        ),
    ],
)
def test_what_has_no_tokens_that_all_attend_to_each_other_is_refused(build, x, rng):
    net = network(build()).double()
    x = interpolate(x, size=(64, 64))
    with pytest.raises(UserError, match="Use another"):
        generic_attention(net, x, torch.zeros(4, dtype=torch.long), rng)
