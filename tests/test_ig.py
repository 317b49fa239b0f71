"""Integrated Gradients against captum, and completeness."""

import captum
import pytest
import torch

from bench.notes import listening
from methods.ig import integrated_gradients


@pytest.mark.parametrize(("steps", "baseline"), [(50, 0.0), (7, 0.5)])
def test_agrees_with_captum_on_the_same_points(cnn, x, target, rng, steps, baseline):
    ours = integrated_gradients(cnn, x, target, rng, steps=steps, baseline=baseline)
    theirs = captum.attr.IntegratedGradients(lambda pixels: cnn(pixels).softmax(dim=1)).attribute(
        x, torch.full_like(x, baseline), target=target, n_steps=steps, method="riemann_trapezoid"
    )
    # captum's weights, 1/steps and half of it at the ends, sum to 1 - 1/steps; ours to 1
    torch.testing.assert_close(ours, theirs / (1 - 1 / steps), rtol=1e-5, atol=1e-9)  # its points are float32


def test_shares_sum_to_the_difference_and_the_gap_is_what_is_missing(cnn, x, target, rng):
    p = lambda pixels: cnn(pixels).softmax(dim=1).gather(1, target[:, None]).squeeze(1)  # noqa: E731
    gaps = []
    for steps in (20, 2000):
        with listening() as notes:
            made = integrated_gradients(cnn, x, target, rng, steps=steps, baseline=0.0)
        gap = made.sum(dim=(1, 2, 3)) - (p(x) - p(0 * x))
        torch.testing.assert_close(notes["completeness_gap"], gap, rtol=1e-9, atol=1e-12)
        gaps.append(gap.abs().max())
    assert gaps[1] < 2e-4
    assert gaps[1] < gaps[0]
