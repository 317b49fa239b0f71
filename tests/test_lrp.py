"""LRP beside a rewrite of its rules, layer by layer, and the networks that it must not be used on."""

import pytest
import timm
import torch
import torchvision
from conftest import IDS, Cnn, Plain, Vit, network, small
from hydra.utils import instantiate
from torch import nn
from torch.nn import functional

from bench.config import load
from bench.errors import UserError
from bench.notes import listening
from bench.rng import Rng
from methods.external.lrp import layer_without_rule

pytest.importorskip("zennit")
NAMES = ["lrp_epsilon_plus_flat", "lrp_epsilon_alpha2_beta1_flat", "lrp_epsilon_gamma_box"]


def configured(name, *overrides):
    return instantiate(load([f"method={name}", *overrides]).cfg.method, _convert_="all")


def shared(inputs, contribution, r):
    """Relevance r of the outputs, dealt to the inputs in proportion to `contribution(inputs)`, a sum over them."""
    inputs = inputs.detach().requires_grad_()
    total = contribution(inputs)
    (per_input,) = torch.autograd.grad(
        total, inputs, r / (total.detach() + 1e-6 * total.detach().sign().where(total != 0, 1))
    )
    return (inputs * per_input).detach()


def slow_relevance(model, x, t, kind):
    """Without biases. x: [1, 3, h, w]."""
    net = model.net
    low, high = (0 - model.mean) / model.std, (1 - model.mean) / model.std
    z = (x - model.mean) / model.std
    a1 = net.relu1(net.conv1(z))
    a2 = net.pool(a1)
    a3 = net.features(a2)
    a4 = net.mean(a3)
    logits = net.head(net.flat(a4))
    w1, w2 = net.conv1.weight, net.features[0].weight

    r = torch.zeros_like(logits)
    r[0, t] = logits[0, t]
    r = shared(net.flat(a4), lambda a: a @ net.head.weight.T, r).view_as(a4)  # epsilon
    r = shared(a3, net.mean, r)
    conv = lambda w: lambda a: functional.conv2d(a, w, padding=1)  # noqa: E731
    plus = lambda a, r, w: shared(a, conv(w.clamp(min=0)), r)  # noqa: E731  a is not negative
    minus = lambda a, r, w: shared(a, conv(w.clamp(max=0)), r)  # noqa: E731
    if kind == "plus":
        r = plus(a2, r, w2)
    elif kind == "alpha2_beta1":
        r = 2 * plus(a2, r, w2) - minus(a2, r, w2)
    else:
        r = shared(a2, conv(w2 + 0.25 * w2.clamp(min=0)), r)
    a = a1.detach().requires_grad_()
    (r,) = torch.autograd.grad(net.pool(a), a, r)  # the winner takes all
    if kind != "gamma_box":
        flat = shared(torch.ones_like(z), conv(torch.ones_like(w1)), r)
        return flat
    box = [
        (z, w1),
        (low.expand_as(z[0])[None], w1.clamp(min=0)),
        (high.expand_as(z[0])[None], w1.clamp(max=0)),
    ]
    total = sum(sign * conv(w)(a) for sign, (a, w) in zip((1, -1, -1), box, strict=True))
    spread = r / (total + 1e-6 * total.sign())
    back = lambda w: functional.conv_transpose2d(spread, w, padding=1)  # noqa: E731
    return sum(sign * a * back(w) for sign, (a, w) in zip((1, -1, -1), box, strict=True))


@pytest.mark.parametrize(("name", "kind"), [*zip(NAMES, ["plus", "alpha2_beta1", "gamma_box"], strict=True)])
def test_agrees_with_a_slow_rewrite_of_the_rules(name, kind, x, rng):
    model = small(Plain)
    target = model(x).argmax(1)
    theirs = torch.cat([slow_relevance(model, x[i : i + 1], target[i], kind) for i in range(4)])
    torch.testing.assert_close(
        configured(name, "method.bias=none")(model, x, target, rng), theirs, rtol=1e-7, atol=1e-9
    )


class Resnet(torchvision.models.ResNet):
    """torchvision's, of two bottlenecks, its batch norms as if trained."""

    def __init__(self):
        super().__init__(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=6)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.weight.data, module.running_var):
                    values.copy_(1 + torch.rand_like(values))
                for values in (module.bias.data, module.running_mean):
                    values.copy_(torch.randn_like(values))


@pytest.mark.parametrize("name", NAMES)
def test_relevance_of_a_residual_network_adds_up_to_the_logit(name, rng):
    model = small(Resnet)
    x = Rng(3, "larger", IDS).uniform(3, 32, 32).double()
    output, target = model(x).max(1)
    with listening() as notes:
        made = configured(name, "method.bias=none")(model, x, target, rng)
    torch.testing.assert_close(made.sum(dim=(1, 2, 3)), output, rtol=0.02, atol=0)
    # a merged batch norm still divides by sqrt(1 + 1e-5): zennit's logit is not the network's to the last digit
    torch.testing.assert_close(notes["completeness_gap"], made.sum(dim=(1, 2, 3)) - output, atol=0.001, rtol=0)
    assert notes["error"] == [None] * 4
    assert torch.equal(model(x).max(1).values, output), "the merged batch norms are as they were, to the last bit"


def test_a_map_that_does_not_add_up_is_a_failed_row(rng):
    model = small(Resnet)
    x = Rng(3, "larger", IDS).uniform(3, 32, 32).double()
    method = configured(NAMES[0], "method.tolerance=0.0")
    with listening() as notes:
        method(model, x, model(x).argmax(1), rng)
    assert all("the relevance adds up to" in error for error in notes["error"])
    with listening() as notes:  # biases keep what is theirs: no promise, no failure
        configured(NAMES[0], "method.tolerance=0.0", "method.bias=share")(model, x, model(x).argmax(1), rng)
    assert "error" not in notes and notes["completeness_gap"].abs().min() > 1e-3


def of_modules(*modules):
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 3, 3, padding=1), of_modules(nn.Conv2d(3, 4, 3))

    def forward(self, x):
        return self.head(self.conv(self.conv(x)))


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (Cnn, "adaptive_avg_pool2d as a function"),
        (lambda: timm.create_model("resnet18", num_classes=6), "calls i?add as a function"),
        (lambda: timm.create_model("tf_efficientnet_lite0", num_classes=6), "cannot be followed"),
        (Vit, "followed|is a |as a function|by itself"),
        (lambda: of_modules(nn.Conv2d(3, 4, 3), nn.GELU()), "1 is a GELU"),
        (lambda: of_modules(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)), "0 is a batch norm that follows no convolution"),
        (Twice, "conv is used twice"),
    ],
)
def test_a_network_with_a_layer_without_a_rule_is_refused_by_name(build, why, x, rng):
    model = network(build().double())
    with pytest.raises(UserError, match=f"LRP has no rule for this network: .*({why})"):
        configured(NAMES[0])(model, x, torch.zeros(4, dtype=torch.long), rng)


@pytest.mark.parametrize("name", ["resnet18", "wide_resnet50_2", "vgg11", "vgg11_bn"])
def test_torchvisions_resnets_and_vggs_have_rules_throughout(name):
    with torch.device("meta"):
        net = torchvision.models.get_model(name)
    assert layer_without_rule(net.eval()) is None


@pytest.mark.parametrize(
    ("override", "complaint"),
    [("method.composite=EpsilonPlus", "expected EpsilonPlusFlat"), ("method.bias=absorb", "expected none or share")],
)
def test_settings_are_checked(override, complaint, x, rng):
    with pytest.raises(UserError, match=complaint):
        configured(NAMES[0], override)(small(Plain), x, torch.zeros(4, dtype=torch.long), rng)
