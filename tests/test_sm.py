"""SM: the gradient of the probability, with its sign or without."""

import pytest
import torch
from captum.attr import Saliency

from methods.sm import saliency_map


@pytest.mark.parametrize("absolute", [True, False])
def test_agrees_with_captum(cnn, x, target, rng, absolute):
    oracle = Saliency(lambda images: cnn(images).softmax(dim=1)).attribute(
        x.clone().requires_grad_(), target, abs=absolute
    )
    found = saliency_map(cnn, x, target, rng, absolute=absolute)
    torch.testing.assert_close(found, oracle.detach(), rtol=1e-12, atol=1e-14)
    assert (found < 0).any() != absolute, "the switch does something"


def test_is_the_slope_of_the_probability(cnn, x, target, rng):
    """Central differences at three values: of p, not of the logit; of the class given, not of the one predicted."""
    other, h = (target + 1) % 6, 1e-6
    found = saliency_map(cnn, x, other, rng, absolute=False)
    for value in [(0, 3, 5), (1, 8, 2), (2, 15, 15)]:
        step = torch.zeros_like(x)
        step[(slice(None), *value)] = h
        up, down = (cnn(x + s * step).softmax(dim=1)[torch.arange(4), other] for s in (1, -1))
        torch.testing.assert_close(found[(slice(None), *value)], (up - down) / (2 * h), rtol=1e-6, atol=1e-9)
