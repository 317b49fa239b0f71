"""Which layer Grad-CAM takes by itself: one that is a picture, in networks of every family."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from bench.errors import UserError
from bench.networks import layers

DEFAULT, SMALL = None, 64  # pixels
SHALLOW = {"depth": 2, "embed_dim": 96, "num_heads": 3}
FAMILIES = {  # the smallest of each of timm's, the side of its images and what makes it smaller
    "beit_base_patch16_224": (SMALL, SHALLOW),
    "botnet26t_256": (128, {}),
    "cait_xxs24_224": (SMALL, {"depth": 2}),
    "coat_lite_tiny": (SMALL, {}),
    "convit_tiny": (SMALL, {"depth": 3, "local_up_to_layer": 2}),
    "crossvit_tiny_240": (DEFAULT, {}),
    "cs3darknet_focus_s": (SMALL, {}),
    "cspnext_tiny": (SMALL, {}),
    "csatv2": (128, {}),
    "davit_tiny": (SMALL, {"depths": (1, 1, 1, 1)}),
    "deit_tiny_distilled_patch16_224": (SMALL, {"depth": 2}),
    "densenet121": (SMALL, {}),
    "dla46x_c": (SMALL, {}),
    "dpn48b": (SMALL, {}),
    "edgenext_xx_small": (SMALL, {}),
    "efficientformer_l1": (DEFAULT, {}),
    "efficientformerv2_s0": (SMALL, {}),
    "efficientvim_m1": (128, {}),
    "efficientvit_b0": (SMALL, {}),
    "efficientvit_m0": (128, {}),
    "ese_vovnet19b_slim_dw": (SMALL, {}),
    "fasternet_t0": (SMALL, {}),
    "fastvit_t8": (SMALL, {}),
    "focalnet_tiny_srf": (SMALL, {}),
    "gcvit_xxtiny": (SMALL, {}),
    "ghostnet_050": (SMALL, {}),
    "gmlp_ti16_224": (SMALL, {}),
    "hardcorenas_b": (SMALL, {}),
    "hgnetv2_b0": (SMALL, {}),
    "hiera_tiny_224": (SMALL, {}),
    "hrnet_w18_small": (SMALL, {}),
    "iformer_t": (SMALL, {}),
    "inception_next_atto": (SMALL, {}),
    "lcnet_035": (SMALL, {}),
    "lcnetv2_small": (SMALL, {}),
    "legacy_seresnet18": (SMALL, {}),
    "levit_128s": (DEFAULT, {}),
    "lowformer_b0": (SMALL, {}),
    "mixer_s32_224": (SMALL, {}),
    "mobilevit_xxs": (SMALL, {}),
    "mvitv2_tiny": (SMALL, {}),
    "nest_tiny": (SMALL, {}),
    "pit_ti_224": (96, {}),
    "poolformer_s12": (SMALL, {}),
    "pvt_v2_b0": (SMALL, {}),
    "regnetx_002": (SMALL, {}),
    "repghostnet_050": (SMALL, {}),
    "repvit_m1": (SMALL, {}),
    "resnest14d": (SMALL, {}),
    "resnetv2_18": (SMALL, {}),
    "rexnet_100": (SMALL, {}),
    "samvit_base_patch16_224": (SMALL, SHALLOW),
    "sequencer2d_s": (SMALL, {"layers": (1, 1, 1, 1)}),
    "shvit_s1": (128, {}),
    "skresnet18": (SMALL, {}),
    "starnet_s050": (SMALL, {}),
    "swiftformer_xs": (SMALL, {}),
    "swin_tiny_patch4_window7_224": (SMALL, {"depths": (1, 1, 1, 1)}),
    "swinv2_cr_tiny_224": (SMALL, {"depths": (1, 1, 1, 1)}),
    "swinv2_tiny_window8_256": (SMALL, {"depths": (1, 1, 1, 1)}),
    "test_byobnet": (SMALL, {}),
    "test_coatnet": (SMALL, {}),
    "test_convnext": (SMALL, {}),
    "test_efficientnet": (SMALL, {}),
    "test_mambaout": (SMALL, {}),
    "test_nfnet": (SMALL, {}),
    "test_resnet": (SMALL, {}),
    "test_vit": (SMALL, {}),
    "test_vit_relpos": (SMALL, {}),
    "tiny_vit_5m_224": (SMALL, {}),
    "tnt_s_legacy_patch16_224": (SMALL, {"depth": 2}),
    "twins_svt_small": (SMALL, {"depths": (1, 1, 1, 1)}),
    "visformer_tiny": (SMALL, {}),
    "vit_small_patch14_reg4_dinov2": (56, {"depth": 2}),
    "vit_tiny_patch16_dinov3_qkvb": (SMALL, {"depth": 2}),
    "vit_tiny_r_s16_p8_224": (SMALL, {"depth": 2}),
    "volo_d1_224": (SMALL, {}),
    "xcit_nano_12_p8_224": (SMALL, {"depth": 2}),
}
MIXED = ("efficientformer_l1", "levit_128s", "xcit_nano_12_p8_224")  # untrained, each place reads all of the image
KNOWN = {  # where people agree on the layer
    "densenet121": "features",
    "test_convnext": "norm_pre",
    "test_resnet": "layer4",
    "test_vit": "blocks.5.norm1",
    "swin_tiny_patch4_window7_224": "norm",
    "vit_small_patch14_reg4_dinov2": "blocks.1.norm1",
}
TORCHVISION = {
    "convnext_tiny": (SMALL, "features"),
    "densenet121": (SMALL, "features"),
    "efficientnet_b0": (SMALL, "features"),
    "mobilenet_v3_small": (SMALL, "features"),
    "regnet_y_400mf": (SMALL, "trunk_output"),
    "resnet18": (SMALL, "layer4"),
    "shufflenet_v2_x0_5": (SMALL, "conv5"),
    "swin_t": (SMALL, "permute"),
    "swin_v2_t": (SMALL, "permute"),
}


def ready(build):
    """A network in eval mode with random weights, none of which are left at zero, so that every layer has a say."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build().eval().requires_grad_(False)
        for value in net.parameters():
            if not value.any():
                value.normal_(std=0.1)
    return net


def of_timm(name, size, smaller):
    fixed = timm.get_pretrained_cfg(name).fixed_input_size
    return timm.create_model(name, num_classes=7, **smaller, **({"img_size": size} if fixed and size else {}))


def chosen(net, name, size):
    """The layer that is taken for `net`, its output for one image, laid out, and that image."""
    x = (layers.probes(size, torch.zeros(())) - 0.5) * 2
    layer = layers.last_picture(layers.look(net, x), name)
    assert layers.picture(layers.look(net, x), layer.name, name) == layer
    return layer, *activation(net, layer, x[:1])


def activation(net, layer, x):
    seen, x = [], x.clone().requires_grad_()
    handle = net.get_submodule(layer.name).register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(x)
    handle.remove()
    return layer.lay_out(seen[-1]), x


def is_a_picture(layer, laid_out, x, mixed=False):
    """K channels of n x n places. Of tokens, whose places are not said by their shape, cells must look where they stand."""
    assert laid_out.shape == (1, layer.channels, layer.side, layer.side)
    assert layer.channels > 2 and layer.side > 1 and not attention(laid_out.detach())
    if layer.layout == "tokens" and layer.side > 3 and not mixed:
        first, last = (looks_at(laid_out[:, :, k, k], x) for k in (0, -1))
        assert max(first) < 0.4 and min(last) > 0.6


def attention(laid_out):
    return (laid_out >= 0).all() and any(torch.allclose(laid_out.sum(d), torch.ones(()), atol=1e-3) for d in (1, 2, 3))


def looks_at(cell, x):
    """The centre of what a cell reads of the image, down and across, from 0 to 1."""
    (gradient,) = torch.autograd.grad((cell * torch.arange(cell.shape[1]).cos()).sum(), x, retain_graph=True)
    weight = gradient.square().sum((0, 1))
    place = torch.linspace(0, 1, len(weight))
    return [((weight.sum(d) * place).sum() / weight.sum()).item() for d in (1, 0)]


@pytest.mark.filterwarnings("ignore")  # timm's own
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_of_timms_has_a_layer_that_is_a_picture(name):
    size, smaller = FAMILIES[name]
    net = ready(lambda: of_timm(name, size, smaller))
    layer, *seen = chosen(net, name, size or timm.get_pretrained_cfg(name).input_size[1])
    is_a_picture(layer, *seen, mixed=name in MIXED)
    assert layer.name == KNOWN.get(name, layer.name)


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_network_of_torchvisions_has_a_layer_that_is_a_picture(name):
    size, expected = TORCHVISION[name]
    net = ready(lambda: torchvision.models.get_model(name, weights=None, num_classes=7))
    layer, *seen = chosen(net, name, size)
    is_a_picture(layer, *seen)
    assert layer.name == expected


class Logits(nn.Module):
    """A classifier of Hugging Face as a module from images to logits."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(pixel_values=x).logits


VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "patch_size": 8}
SWIN = {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4, "patch_size": 4}
STAGES = {"hidden_sizes": [8, 16, 32, 32], "depths": [1, 1, 1, 1]}
HUGGING_FACE = {
    "ViT": (VIT, "net.vit.layers.1.layernorm_before"),
    "DeiT": (VIT, "net.deit.layers.1.layernorm_before"),
    "Dinov2": ({k: v for k, v in VIT.items() if k != "intermediate_size"}, "net.dinov2.layernorm"),
    "Swin": (SWIN, "net.swin.layernorm"),
    "Swinv2": (SWIN, "net.swinv2.layernorm"),
    "ConvNext": (STAGES, "net.convnext.encoder.stages.3"),
    "ResNet": (STAGES | {"embedding_size": 8}, "net.resnet.encoder.stages.3"),
}


@pytest.mark.filterwarnings("ignore")  # its own
@pytest.mark.parametrize("name", HUGGING_FACE)
def test_a_network_of_hugging_faces_has_a_layer_that_is_a_picture(name):
    transformers = pytest.importorskip("transformers")
    settings, expected = HUGGING_FACE[name]
    config = getattr(transformers, f"{name}Config")(image_size=SMALL, num_labels=7, **settings)
    net = ready(lambda: Logits(getattr(transformers, f"{name}ForImageClassification")(config)))
    layer, *seen = chosen(net, name, SMALL)
    is_a_picture(layer, *seen)
    assert layer.name.split(".")[-1] == expected.split(".")[-1]  # releases part in what stands before


@pytest.mark.parametrize("fused", [True, False])
def test_attention_is_never_taken_for_a_picture(fused):
    """Where it is a softmax of modules, its matrix [B, heads, 16, 16] is the last square output."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
            self.softmax, self.drop = nn.Softmax(-1), nn.Dropout(0.0)

        def forward(self, x):
            q, k, v = self.qkv(self.norm(x)).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
            if fused:
                mixed = nn.functional.scaled_dot_product_attention(q, k, v)
            else:
                mixed = self.drop(self.softmax(q @ k.transpose(2, 3) / 2)) @ v
            return x + self.out(mixed.transpose(1, 2).flatten(2))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches, self.block, self.head = nn.Conv2d(3, 8, 4, 4), Block(), nn.Linear(8, 5)

        def forward(self, x):
            return self.head(self.block(self.patches(x).flatten(2).transpose(1, 2)).mean(1))

    layer, *seen = chosen(ready(Net), "net", 16)
    is_a_picture(layer, *seen)
    assert (layer.name, layer.shape, layer.side) == ("block.norm", (16, 8), 4)


def test_torchvisions_vit_gives_the_norm_before_its_last_attention():
    vit = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=7)
    layer, *seen = chosen(ready(lambda: vit), "vit", 32)
    is_a_picture(layer, *seen)
    assert (layer.name, layer.side) == ("encoder.layers.encoder_layer_1.ln_1", 4)


def test_a_gate_of_one_channel_is_no_picture_of_features():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.gate, self.head = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 1, 1), nn.Linear(8, 5)

        def forward(self, x):
            x = self.body(x)
            return self.head((x * self.gate(x).sigmoid()).mean((2, 3)))

    assert chosen(ready(Gated), "net", 16)[0].name == "body"


def test_with_a_head_of_zeros_it_is_said_that_the_answer_depends_on_nothing():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = of_timm("test_vit", SMALL, {}).eval().requires_grad_(False)
    nn.init.zeros_(vit.head.weight)
    outputs = layers.look(vit, layers.probes(SMALL, torch.zeros(())))
    layer = layers.last_picture(outputs, "vit").name
    with pytest.raises(UserError, match=f"answer does not depend on the picture that its layer {layer} gives"):
        layers.picture(outputs, layer, "vit")
