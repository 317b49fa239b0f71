"""AGI against a slow rewrite of its formula: one image, one class, one step at a time."""

import pytest
import torch

from bench.notes import listening
from methods.agi import adversarial_gradient_integration

SETTINGS = {"classes": [4, 0, 3, 5], "n_classes": 4, "epsilon": 0.0525, "steps": 6}


def slow(model, image, c, *, classes, n_classes, epsilon, steps):
    """The map, and for each class the number of steps and whether it was reached."""
    total, walks = torch.zeros_like(image), []
    for t in classes:
        t = t if t != c else (t + 1 if t + 1 < 6 else t - 1)
        point, reached, taken = image, False, 0
        for _ in range(steps):
            point = point.clone().requires_grad_()
            p = model(point[None]).softmax(dim=1)[0]
            if p.argmax() == t:
                reached = True
                break
            (towards,) = torch.autograd.grad(p[t], point, retain_graph=True)
            (gradient,) = torch.autograd.grad(p[c], point)
            point = (image + epsilon * towards.sign()).clamp(0, 1)
            total = total - gradient * (point - image)
            taken += 1
        walks.append((taken, reached))
    return total, walks


def test_the_slow_rewrite_gives_the_same_maps_and_passes(cnn, x, target, rng):
    with listening() as notes:
        maps = adversarial_gradient_integration(cnn, x, target, rng, **SETTINGS)
    expected = [slow(cnn, x[i], int(target[i]), **SETTINGS) for i in range(len(x))]
    torch.testing.assert_close(maps, torch.stack([m for m, _ in expected]), rtol=1e-10, atol=1e-14)
    assert notes["forward_passes"].tolist() == [1 + sum(t + reached for t, reached in w) for _, w in expected]
    assert notes["backward_passes"].tolist() == [2 * sum(t for t, _ in w) for _, w in expected]
    walks = {walk for _, w in expected for walk in w}
    assert (6, False) in walks
    assert len({t for t, reached in walks if reached}) > 1, "or the stop is hardly tested"


def test_a_class_that_is_there_already_adds_nothing(cnn, x, target, rng):
    """run.target=label, and the network sees class t in the clean image: T = 0."""
    wrong = (target + 1) % 6
    one = adversarial_gradient_integration(cnn, x[:1], wrong[:1], rng, **SETTINGS | {"classes": [int(target[0])]})
    assert (one == 0).all()


def test_classes_come_from_the_seed_unless_they_are_given(cnn, x, target, rng):
    drawn = adversarial_gradient_integration(cnn, x, target, rng, **SETTINGS | {"classes": None, "n_classes": 99})
    all_six = [adversarial_gradient_integration(cnn, x, target, rng, **SETTINGS | {"classes": [t]}) for t in range(6)]
    torch.testing.assert_close(drawn, sum(all_six), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("images", [1, 3])
def test_memory_and_shape_of_a_pass_do_not_grow_with_the_classes(cnn, x, target, rng, images, monkeypatch):
    widths, forward = set(), type(cnn).forward
    monkeypatch.setattr(type(cnn), "forward", lambda self, x: widths.add(len(x)) or forward(self, x))
    adversarial_gradient_integration(cnn, x[:images], target[:images], rng, **SETTINGS)
    assert widths == {images}
