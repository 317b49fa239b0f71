"""Infidelity against captum and against closed forms."""

import captum.metrics
import pytest
import torch
from conftest import IDS
from torch import nn

from bench.rng import Rng
from metrics.batch import MapBatch
from metrics.infidelity import infidelity

SETTINGS = {"share": 1 / 3, "sigma": 0.2}


def trial(model, x, target, maps) -> MapBatch:
    return MapBatch(model, x, target, maps, ids=IDS[: len(x)], seed=0, colour=lambda: torch.zeros(3))


@pytest.fixture
def maps(x):
    """Signed, different in every image."""
    return torch.sin(37 * x) + 0.2


def slow_perturbations(x, draws):
    """The protocol's perturbations, value by value: a third of them, never below x − 1 nor above x."""
    rng, numbers = Rng(0, "infidelity", IDS), []
    for _ in range(draws):
        lots, noise = rng.integers(1 << 62, x[0].numel()), rng.normal(*x.shape[1:]).to(x.dtype)
        taken = torch.zeros_like(x)
        for image, (values, lot) in enumerate(zip(x.flatten(1), lots, strict=True)):
            for i in lot.argsort()[: round(len(values) / 3)].tolist():
                wanted = values[i] + 0.2 * noise[image].flatten()[i]
                taken[image].view(-1)[i] = min(max(wanted, values[i] - 1), values[i])
        numbers.append(taken)
    return numbers


def test_equals_captum_for_the_same_perturbations(cnn, x, target, maps):
    draws = 12
    taken = slow_perturbations(x, draws)
    # captum repeats every image `draws` times in a row
    perturbation = torch.stack(taken, dim=1).flatten(0, 1)
    oracle = captum.metrics.infidelity(
        cnn,
        lambda images: (perturbation, images - perturbation),
        x,
        maps,
        target=target,
        n_perturb_samples=draws,
        normalize=True,
    )
    score = infidelity(trial(cnn, x, target, maps), draws=draws, **SETTINGS)["score"]
    torch.testing.assert_close(score, oracle, rtol=1e-5, atol=1e-5)
    assert (score > 1e-3).all(), "a score near zero would agree with anything"


class Linear(nn.Module):
    """z_0 = 3 · sum(w x), so what a perturbation takes away is exactly its product with w."""

    def __init__(self, w):
        super().__init__()
        self.w = w

    def forward(self, x):
        z = 3 * (x * self.w).sum(dim=(1, 2, 3))
        return torch.stack([z, torch.zeros_like(z)], dim=1)


def test_is_zero_for_the_true_gradient_of_a_linear_network_at_any_scale(x):
    model, target = Linear(torch.sin(x[0] * 50)), torch.zeros(4, dtype=torch.long)
    for factor in (1e-6, -4.0):
        maps = factor * model.w.expand_as(x)
        score = infidelity(trial(model, x, target, maps), draws=8, **SETTINGS)["score"]
        torch.testing.assert_close(score, torch.zeros(4, dtype=x.dtype), rtol=0, atol=1e-6)


def test_a_map_of_zeros_foretells_nothing(cnn, x, target, maps):
    nothing = infidelity(trial(cnn, x, target, torch.zeros_like(maps)), draws=8, **SETTINGS)["score"]
    something = infidelity(trial(cnn, x, target, maps), draws=8, **SETTINGS)["score"]
    assert nothing.isfinite().all()
    assert (something <= nothing).all(), "b = 0 is always allowed"


class Watched(nn.Module):
    """Keeps what it is shown."""

    def __init__(self, model):
        super().__init__()
        self.model, self.seen = model, []

    def forward(self, x):
        self.seen.append(x)
        return self.model(x)


def test_every_method_meets_the_same_perturbations_image_by_image(cnn, x, target, maps):
    one, other, alone = Watched(cnn), Watched(cnn), Watched(cnn)
    infidelity(trial(one, x, target, maps), draws=3, **SETTINGS)
    infidelity(trial(other, x, target, -maps.flip(0)), draws=3, **SETTINGS)
    infidelity(trial(alone, x[:1], target[:1], maps[:1]), draws=3, **SETTINGS)
    assert len(one.seen) == 4
    assert all(torch.equal(a, b) for a, b in zip(one.seen, other.seen, strict=True))
    assert all(torch.equal(a[:1], b) for a, b in zip(one.seen, alone.seen, strict=True))
    assert not torch.equal(one.seen[1], one.seen[2]), "every draw is another one"


def test_a_third_of_the_values_becomes_black_or_dark(cnn, x, target, maps):
    watched = Watched(cnn)
    infidelity(trial(watched, x, target, maps), draws=1, **SETTINGS)
    left = watched.seen[-1]
    changed = left != x
    assert changed.flatten(1).sum(dim=1).tolist() == [256] * 4  # of 768
    assert left.min() == 0
    assert left[changed].max() < 1.0
    assert 0.35 < (left[changed] == 0).double().mean() < 0.65
