"""Fast-IG: x times the gradient, and Integrated Gradients where its theorem says so."""

import pytest
import torch
from captum.attr import InputXGradient
from conftest import network
from torch import nn

from bench.config import load
from methods.fast_ig import fast_integrated_gradients
from methods.ig import integrated_gradients


class Proportional(nn.Module):
    """No biases, ReLUs: its probability of class 0, f(x), satisfies f(a x) = a f(x), as the theorem asks.

    A softmax can be proportional to its input only inside a region, here the unit cube, where f < 1.
    """

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.head = nn.Linear(4 * 256, 1, bias=False)

    def forward(self, x):
        f = self.head(self.conv(x).relu().flatten(1)).relu()
        f = f.clamp_min(1e-300)  # log 0 at black, without a gradient there
        return torch.cat([f.log(), *[((1 - f) / 2).log()] * 2], dim=1)


@pytest.fixture
def proportional():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Proportional()
    net.head.weight.data = net.head.weight.data.abs() / 50  # 0 < f < 1
    wrapped = network(net).double()
    wrapped.mean.zero_()  # a normalisation that shifts is a bias
    wrapped.std.fill_(1)
    return wrapped


def test_is_integrated_gradients_from_black_on_a_network_without_biases(proportional, x, rng):
    target, steps = torch.zeros(4, dtype=torch.long), 10
    f = proportional(x).softmax(dim=1)[:, 0]
    assert ((f > 0.01) & (f < 0.99)).all()
    found = fast_integrated_gradients(proportional, x, target, rng, sign=1)
    ig = integrated_gradients(proportional, x, target, rng, steps=steps, baseline=0.0)
    missing = 0.5 / (steps - 1)  # the trapezoid's half step at black, where a ReLU has no gradient
    torch.testing.assert_close(ig / (1 - missing), found, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(found.flatten(1).sum(dim=1), f, rtol=1e-12, atol=0)  # complete


def test_agrees_with_captum(cnn, x, target, rng):
    oracle = InputXGradient(lambda images: cnn(images).softmax(dim=1)).attribute(x.clone().requires_grad_(), target)
    found = fast_integrated_gradients(cnn, x, target, rng, sign=1)
    torch.testing.assert_close(found, oracle.detach(), rtol=1e-12, atol=1e-14)


def test_as_published_is_exactly_the_negative(cnn, x, target, rng):
    ours, published = (
        fast_integrated_gradients(cnn, x, target, rng, sign=load([f"method={name}"]).cfg.method.sign)
        for name in ("fast_ig", "fast_ig_as_published")
    )
    assert torch.equal(published, -ours)
    assert ours.abs().sum() > 0


def test_as_published_ranks_as_the_gradient_of_the_released_loss(cnn, x, target, rng):
    """The released objective: the cross-entropy of an output that is a softmax already, about -p_t."""
    images = x.clone().requires_grad_()
    loss = nn.functional.cross_entropy(cnn(images).softmax(dim=1), target, reduction="sum")
    released = (x * torch.autograd.grad(loss, images)[0]).flatten(1)
    found = fast_integrated_gradients(cnn, x, target, rng, sign=-1).flatten(1)
    assert (torch.cosine_similarity(found, released) > 0.9).all()
