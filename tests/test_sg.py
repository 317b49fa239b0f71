"""SmoothGrad: the mean gradient under each image's own noise."""

import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from conftest import IDS

from bench.rng import Rng
from methods.sg import smooth_grad
from methods.sm import saliency_map


def probabilities(cnn):
    return lambda images: cnn(images).softmax(dim=1)


def test_without_noise_it_is_the_signed_gradient(cnn, x, target, rng):
    """The mean of two equal terms is exact."""
    found = smooth_grad(cnn, x, target, rng, draws=2, sigma=0.0)
    assert torch.equal(found, saliency_map(cnn, x, target, rng, absolute=False))


def test_agrees_with_captum_under_the_same_noise(cnn, x, target):
    draws, sigma = 5, 0.15
    rng = Rng(0, "test", IDS)
    noise = [sigma * rng.normal(3, 16, 16).double() for _ in range(draws)]
    assert any(((x + n).amax() > 1.2) for n in noise), "noise that a clamp would change"
    oracle = (
        sum(Saliency(probabilities(cnn)).attribute((x + n).requires_grad_(), target, abs=False) for n in noise) / draws
    )
    found = smooth_grad(cnn, x, target, Rng(0, "test", IDS), draws=draws, sigma=sigma)
    torch.testing.assert_close(found, oracle.detach(), rtol=1e-10, atol=1e-12)


def test_agrees_with_captums_noise_tunnel(cnn, x, target, monkeypatch):
    """captum draws torch.normal(0, sigma) for all draws of an image in turn; here it is handed the image's stream."""
    draws, sigma = 5, 0.125  # captum rounds sigma to float32
    rng = Rng(0, "test", IDS)
    noise = torch.stack([rng.normal(3, 16, 16).double() for _ in range(draws)], dim=1)  # [B, draws, 3, H, W]
    monkeypatch.setattr(torch, "normal", lambda mean, std: mean + std * noise.flatten(0, 1))
    tunnel = NoiseTunnel(Saliency(probabilities(cnn)))
    oracle = tunnel.attribute(x.clone(), nt_samples=draws, stdevs=sigma, target=target, abs=False)
    found = smooth_grad(cnn, x, target, Rng(0, "test", IDS), draws=draws, sigma=sigma)
    torch.testing.assert_close(found, oracle.detach(), rtol=1e-10, atol=1e-12)


def test_the_noise_has_the_deviation_it_was_asked_for(cnn, x, target, monkeypatch):
    """What the network is shown, seen by a spy."""
    shown = []
    monkeypatch.setattr(
        "methods.parts.gradient.input_gradient",
        lambda model, images, _: shown.append(images) or torch.zeros_like(images),
    )
    smooth_grad(cnn, x, target, Rng(0, "test", IDS), draws=50, sigma=0.15)
    noise = torch.stack(shown) - x
    assert noise.std().item() == pytest.approx(0.15, rel=0.01)
    assert noise.mean().abs() < 0.002
    assert not torch.equal(noise[0], noise[1])
