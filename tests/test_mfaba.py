"""MFABA against a slow rewrite of its formula, one image and one step at a time."""

import torch

from bench.notes import listening
from methods.mfaba import boundary_attribution

SETTINGS = {"alpha": 0.004, "steps": 12, "box": 0.3}


def slow(model, image, c, *, alpha, steps, box):
    """As the formula has it, with the derivative of p_c itself. Returns the map and T."""
    x, total = image, torch.zeros_like(image)
    for k in range(1, steps + 1):
        x = x.clone().requires_grad_()
        p = model(x[None]).softmax(dim=1)[0]
        (gradient,) = torch.autograd.grad(p[c], x)
        x_next = x.detach() - alpha * gradient.sign()
        x_next = torch.min(torch.max(x_next, image - box), image + box).clamp(0, 1)
        total = total - gradient * (x_next - x.detach())
        x = x_next
        if model(x[None]).argmax() != c:
            return total, k, True
    return total, steps, False


def test_the_slow_rewrite_gives_the_same_maps_and_passes(cnn, x, target, rng):
    x[1] = (x[1] * 1.6).clamp(0, 1)  # some of the steps meet 0 or 1
    target = cnn(x).argmax(dim=1)
    with listening() as notes:
        maps = boundary_attribution(cnn, x, target, rng, **SETTINGS)
    expected = [slow(cnn, x[i], target[i], **SETTINGS) for i in range(len(x))]
    torch.testing.assert_close(maps, torch.stack([m for m, _, _ in expected]), rtol=1e-10, atol=1e-14)
    assert notes["backward_passes"].tolist() == [t for _, t, _ in expected]
    assert notes["forward_passes"].tolist() == [t + (stopped and t < 12) for _, t, stopped in expected]
    assert len({t for _, t, _ in expected}) > 1, "images must stop at different steps, or the test says little"


def test_the_box_holds(cnn, x, target, rng):
    narrow = SETTINGS | {"box": 0.005}
    maps = boundary_attribution(cnn, x, target, rng, **narrow)
    torch.testing.assert_close(maps[0], slow(cnn, x[0], target[0], **narrow)[0], rtol=1e-10, atol=1e-14)
    assert not torch.allclose(maps, boundary_attribution(cnn, x, target, rng, **SETTINGS))


def test_one_step_is_alpha_times_the_absolute_gradient(cnn, x, target, rng):
    inside = x * 0.9 + 0.05
    maps = boundary_attribution(cnn, inside, target, rng, alpha=0.01, steps=1, box=0.3)
    pixels = inside.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cnn(pixels).softmax(dim=1)[range(4), target].sum(), pixels)
    torch.testing.assert_close(maps, 0.01 * gradient.abs(), rtol=1e-10, atol=0)


def test_an_image_the_network_gets_wrong_takes_one_step(cnn, x, target, rng):
    with listening() as notes:
        boundary_attribution(cnn, x, (target + 1) % 6, rng, **SETTINGS)
    assert notes["backward_passes"].tolist() == [1, 1, 1, 1]


def test_no_value_is_negative(cnn, x, target, rng):
    assert (boundary_attribution(cnn, x, target, rng, **SETTINGS) >= 0).all()
