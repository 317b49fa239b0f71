"""NAA beside a rewrite that computes the layers after the attacked one in a network of their own."""

import pytest
import torch
from conftest import IDS, network
from hydra.utils import instantiate
from torch import nn
from torch.nn.functional import avg_pool2d

from bench.config import load
from bench.errors import UserError
from bench.notes import listening
from bench.rng import Rng
from methods.naa import neuron_weights


def configured(**changes):
    return instantiate(load(["method=attexplore_naa"]).cfg.method, **changes)


def halves(cnn, layer):
    """The network up to a layer's output, and from there on."""
    net = cnn.net
    stages = [net.conv1, net.relu1, net.pool, net.features, lambda a: net.head(avg_pool2d(a, 2).flatten(1))]
    cut = {"conv1": 1, "features": 4}[layer]

    def lower(x):
        a = (x - cnn.mean) / cnn.std
        for stage in stages[:cut]:
            a = stage(a)
        return a

    def upper(a):
        for stage in stages[cut:]:
            a = stage(a)
        return a

    return lower, upper


def slow_naa(cnn, image, t, stream, layer, steps, probes, bound=16 / 255):
    """As released: weights with a minus, black subtracted, the loss descended. One image, [1, 3, h, w]."""
    lower, upper = halves(cnn, layer)
    weights = 0
    for k in range(probes):
        probe = (image + 0.2 * stream.normal(*image.shape[1:]).double()) * (1 - k / probes)
        a = lower(probe).detach().requires_grad_()
        weights = weights + torch.autograd.grad(upper(a).softmax(dim=1)[0, t], a)[0]
    weights = -weights / (weights**2).sum().sqrt()
    point, momentum, total = image.clone(), 0, torch.zeros_like(image)
    for _ in range(steps):
        leaf = point.clone().requires_grad_()
        loss = ((lower(leaf) - lower(torch.zeros_like(leaf))) * weights).sum()
        gradient = torch.autograd.grad(loss, leaf)[0]
        momentum = momentum + gradient / gradient.abs().mean()
        moved = point - bound / steps * momentum.sign()
        moved = (image + (moved - image).clamp(-bound, bound)).clamp(0, 1)
        total -= (moved - point) * momentum
        point = moved
    return total


@pytest.mark.parametrize("layer", ["conv1", "features"])
def test_agrees_with_the_rewrite(cnn, x, target, layer):
    made = configured(layer=layer, steps=3, probes=5)(cnn, x, target, Rng(0, "m", IDS))
    for n, image in enumerate(IDS):
        slow = slow_naa(cnn, x[n : n + 1], target[n], Rng(0, "m", [image]), layer, steps=3, probes=5)
        torch.testing.assert_close(made[n : n + 1], slow, rtol=1e-8, atol=1e-12)


def test_weights_have_length_one(cnn, x, target, rng):
    weights = neuron_weights(cnn, cnn.layer("features"), x, target, rng, probes=3, noise=0.2)
    assert weights.shape == (4, 12, 8, 8)
    torch.testing.assert_close(weights.flatten(1).norm(dim=1), torch.ones(4).double())


def test_away_is_the_other_walk(cnn, x, target, rng):
    """One step covers the same gradient in either direction; ten do not."""
    x = 0.25 + x / 2
    maps = {
        (d, n): configured(direction=d, steps=n)(cnn, x, target, Rng(0, "m", IDS))
        for d in ("away", "towards_label")
        for n in (1, 10)
    }
    torch.testing.assert_close(maps["away", 1], maps["towards_label", 1], rtol=1e-9, atol=1e-12)
    assert not torch.allclose(maps["away", 10], maps["towards_label", 10], rtol=1e-3)
    assert all((a > -1e-12).all() for a in maps.values())


def test_layer_before_one_that_works_in_place(cnn, x, target):
    """VGG16's features.28 is a convolution; the ReLU behind it overwrites what the hook has seen."""
    kept = configured(layer="conv1", steps=2, probes=2)(cnn, x, target, Rng(0, "m", IDS))
    cnn.net.relu1 = nn.ReLU(inplace=True)
    torch.testing.assert_close(configured(layer="conv1", steps=2, probes=2)(cnn, x, target, Rng(0, "m", IDS)), kept)


def test_hooks_are_gone_even_when_a_pass_fails(cnn, x, target, rng):
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            self.features(x)
            raise RuntimeError("broken")

    broken = network(Broken()).double()
    with pytest.raises(RuntimeError, match="broken"):
        configured()(broken, x, target, rng)
    assert not broken.net.features._forward_hooks


def test_unknown_layer_is_an_error(cnn, x, target, rng):
    with pytest.raises(UserError, match="no layer 'featurs'"):
        configured(layer="featurs")(cnn, x, target, rng)


@pytest.mark.parametrize(
    ("model", "layer"), [("inception_v3", "Mixed_5b"), ("resnet50", "layer3"), ("vgg16", "features.28"), ("tiny", None)]
)
def test_layers_of_the_papers_networks(model, layer):
    assert load([f"model={model}", "method=attexplore_naa"]).cfg.method.layer == layer


def test_a_gradient_of_zero_is_a_map_of_zero(x, rng):
    class Blind(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return 0 * self.features(x).mean(dim=(2, 3))

    target = torch.zeros(len(x), dtype=torch.long)
    made = configured()(network(Blind()).double(), x, target, rng)
    assert torch.equal(made, torch.zeros_like(x))


def test_backward_passes_that_end_before_the_logits_are_counted(cnn, x, target):
    with listening() as notes:
        configured(steps=2, probes=3)(cnn, x, target, Rng(0, "m", IDS))
    assert notes["backward_passes"].tolist() == [5] * 4
    assert cnn.forward_passes == 5 * 4 + 4  # and the fixture's own look
