"""Guided IG: the authors' package, image by image, and what a path promises."""

import numpy as np
import pytest
import torch
from conftest import IDS
from saliency.core import GuidedIG
from saliency.core.base import INPUT_OUTPUT_GRADIENTS
from torch import nn

from bench.notes import listening
from bench.rng import Rng
from methods.guided_ig import explained, guided_integrated_gradients
from methods.ig import integrated_gradients

SETTINGS = {"steps": 15, "fraction": 0.25, "max_distance": 0.02, "baseline": 0.0, "objective": "probability"}
OBJECTIVES = {
    "probability": lambda z: z.softmax(dim=1),
    "logit": lambda z: z,
    "softmax_of_softmax": lambda z: z.softmax(dim=1).softmax(dim=1),
}


@pytest.fixture(autouse=True)
def numpy_as_the_package_knew_it(monkeypatch):
    """saliency 0.2.1 says `interpolation` where numpy now says `method`."""
    quantile = np.quantile
    monkeypatch.setattr(np, "quantile", lambda a, q, interpolation: quantile(a, q, method=interpolation))


def authors(cnn, x, target, *, steps, fraction, max_distance, baseline, objective):
    """`saliency`'s map of every image."""

    def gradients(batch, call_model_args, expected_keys):
        points = torch.from_numpy(batch).to(x.dtype).requires_grad_()
        value = OBJECTIVES[objective](cnn(points))[0, call_model_args["class"]]
        return {INPUT_OUTPUT_GRADIENTS: torch.autograd.grad(value, points)[0].numpy()}

    return torch.stack(
        [
            torch.from_numpy(
                GuidedIG().GetMask(
                    image.double().numpy(),
                    gradients,
                    {"class": int(t)},
                    x_baseline=np.full(image.shape, baseline),
                    x_steps=steps,
                    fraction=fraction,
                    max_dist=max_distance,
                )
            )
            for image, t in zip(x, target, strict=True)
        ]
    )


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"objective": "logit"},
        {"objective": "softmax_of_softmax"},
        {"baseline": 0.3},
        {"steps": 60},  # steps shorter than the band: values do not all fall behind
        {"max_distance": 1.0},  # no band: flat values run to the end at once
        {"max_distance": 0.0},  # no freedom: the straight line
        {"fraction": 0.05, "max_distance": 0.2},
        {"fraction": 0.9, "max_distance": 0.3},
        {"steps": 1},
    ],
    ids=str,
)
def test_agrees_with_the_authors_package(cnn, x, target, rng, changed):
    settings = SETTINGS | changed
    oracle = authors(cnn, x, target, **settings)
    found = guided_integrated_gradients(cnn, x, target, rng, **settings)
    scale = oracle.abs().amax().item()
    torch.testing.assert_close(found, oracle, rtol=1e-9, atol=1e-11 * scale)


def test_agrees_where_the_image_touches_the_baseline(cnn, x, target, rng):
    """Black regions, a black image, a white one: values without a way, an image without one, equal values."""
    x[0, :, :9], x[1], x[2], x[3, 1] = 0.0, 0.0, 1.0, 0.0
    oracle = authors(cnn, x, target, **SETTINGS)
    found = guided_integrated_gradients(cnn, x, target, rng, **SETTINGS)
    torch.testing.assert_close(found, oracle, rtol=1e-9, atol=1e-11 * oracle.abs().amax().item())
    assert not found[1].any()
    assert not found[0, :, :9].any()


def test_equal_gradients_move_together(cnn, x, target, rng):
    """A ReLU that is off at black leaves many gradients of exactly 0, a tie at the quantile."""
    cnn.net.conv1.bias.data -= 1.5
    oracle = authors(cnn, x, target, **SETTINGS)
    found = guided_integrated_gradients(cnn, x, target, rng, **SETTINGS)
    torch.testing.assert_close(found, oracle, rtol=1e-9, atol=1e-11 * oracle.abs().amax().item())


def test_a_float32_network_walks_a_float64_path(cnn, x, target):
    """Only the network's passes are rounded, here as in the package: image by image they are the very same passes."""
    cnn, x = cnn.float(), x.float()
    oracle = authors(cnn, x, target, **SETTINGS)
    found = torch.cat(
        [
            guided_integrated_gradients(
                cnn, x[i : i + 1], target[i : i + 1], Rng(0, "test", IDS[i : i + 1]), **SETTINGS
            )
            for i in range(4)
        ]
    )
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, oracle.float(), rtol=1e-6, atol=1e-8 * oracle.abs().amax().item())


def test_without_freedom_it_is_integrated_gradients_by_the_left_rule(cnn, x, target, rng):
    steps = 10
    found = guided_integrated_gradients(cnn, x, target, rng, **(SETTINGS | {"steps": steps, "max_distance": 0.0}))
    points = (x * (k / steps) for k in range(steps))
    left = torch.zeros_like(x)
    for point in points:
        point = point.requires_grad_()
        value = cnn(point).softmax(dim=1).gather(1, target[:, None]).sum()
        left += torch.autograd.grad(value, point)[0]
    torch.testing.assert_close(found, x * left / steps, rtol=1e-8, atol=1e-10)
    assert not torch.allclose(found, integrated_gradients(cnn, x, target, rng, steps=steps, baseline=0.0), rtol=1e-3)


def test_the_gap_is_what_is_missing(cnn, x, target, rng):
    p, black = (cnn(i).softmax(dim=1).gather(1, target[:, None]).squeeze(1) for i in (x, torch.zeros_like(x)))
    with listening() as notes:
        found = guided_integrated_gradients(cnn, x, target, rng, **SETTINGS)
    torch.testing.assert_close(notes["completeness_gap"], found.flatten(1).sum(dim=1) - (p - black))


def test_on_a_smooth_network_the_gap_closes_as_steps_grow(cnn, x, target, rng):
    cnn.net.relu1, cnn.net.pool, cnn.net.features[1] = nn.Softplus(5), nn.AvgPool2d(2), nn.Softplus(5)
    gaps = []
    for steps in (15, 240):
        with listening() as notes:
            guided_integrated_gradients(cnn, x, target, rng, **(SETTINGS | {"steps": steps}))
        gaps.append(notes["completeness_gap"].abs())
    assert (gaps[0] > 1e-3).all()
    assert (gaps[1] < gaps[0] / 5).all()


def test_a_broken_gradient_ends_and_breaks_its_own_image_only(cnn, x, target):
    """The package would loop for ever; here the image becomes a failed row."""
    rng = Rng(0, "test", ["a", "b"])
    whole = guided_integrated_gradients(cnn, x[:2], target[:2], rng, **SETTINGS)
    forward = cnn.net.forward
    cnn.net.forward = lambda images: forward(images) * torch.tensor([[1.0], [float("nan")]], dtype=x.dtype)
    found = guided_integrated_gradients(cnn, x[:2], target[:2], rng, **SETTINGS)
    assert torch.equal(found[0], whole[0])
    assert found[1].isnan().any()


def test_an_unknown_objective_is_named(target):
    with pytest.raises(ValueError, match="logits.*expected probability, logit or softmax_of_softmax"):
        explained("logits", target)
