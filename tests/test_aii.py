"""AII against a slow rewrite of Eq. 4 on AGI's path and of Algorithm 1; its gradient knows no class."""

import pytest
import torch
from hydra.utils import instantiate

from bench.config import load
from bench.notes import listening
from bench.rng import Rng
from methods.aii import intrinsic_information, undecidedness
from methods.parts.gradient import input_gradient

AGI_PATH = {
    "classes": [4, 0, 2],
    "n_classes": 3,
    "epsilon": 0.05,
    "steps": 5,
    "base": "restart",
    "stop": True,
    "sign": 1,
}
ALGORITHM_1 = AGI_PATH | {"epsilon": 1 / 255, "base": "walk", "stop": False, "sign": -1}


def gradient_of(value, point):
    return torch.autograd.grad(value, point, retain_graph=True)[0]


def away_from(c, t):
    return t if t != c else (t + 1 if t + 1 < 6 else t - 1)


def equation_4(model, image, c, classes, eta, steps):
    """sum dx * grad S, dx the displacement from the clean image of AGI's steps; stops when t is reached."""
    total, stopped = torch.zeros_like(image), 0
    for t in (away_from(c, t) for t in classes):
        point = image
        for _ in range(steps):
            point = point.clone().requires_grad_()
            p = model(point[None]).softmax(dim=1)[0]
            if p.argmax() == t:
                stopped += 1
                break
            after = (image - eta * gradient_of(-p[t].log(), point).sign()).clamp(0, 1)
            total = total + (after - image) * gradient_of(p.log().sum(), point)
            point = after
    return total, stopped


def algorithm_1(model, image, c, classes, eta, steps):
    """x <- x - eta sign(dL); A <- A + eta sign(dL) * dS, where nothing leaves [0, 1]."""
    total = torch.zeros_like(image)
    for t in (away_from(c, t) for t in classes):
        point = image
        for _ in range(steps):
            point = point.clone().requires_grad_()
            p = model(point[None]).softmax(dim=1)[0]
            step = eta * gradient_of(-p[t].log(), point).sign()
            total = total + step * gradient_of(p.log().sum(), point)
            point = point.detach() - step
    return total


def test_equation_4_on_the_path_of_agi(cnn, x, target, rng):
    with listening() as notes:
        maps = intrinsic_information(cnn, x, target, rng, **AGI_PATH)
    expected = [equation_4(cnn, x[i], int(target[i]), [4, 0, 2], 0.05, 5) for i in range(len(x))]
    torch.testing.assert_close(maps, torch.stack([m for m, _ in expected]), rtol=1e-10, atol=1e-13)
    assert 0 < sum(stopped for _, stopped in expected) < 12
    assert (notes["backward_passes"] % 2 == 0).all()


def test_algorithm_1_as_printed(cnn, x, target, rng):
    inside = x * 0.9 + 0.05  # 5 steps of 1/255 stay in [0, 1]
    maps = intrinsic_information(cnn, inside, target, rng, **ALGORITHM_1)
    expected = [algorithm_1(cnn, inside[i], int(target[i]), [4, 0, 2], 1 / 255, 5) for i in range(len(x))]
    torch.testing.assert_close(maps, torch.stack(expected), rtol=1e-9, atol=1e-13)


def test_the_gradient_of_s_is_that_of_the_sum_of_log_probabilities(cnn, x, target):
    made = input_gradient(cnn, x, undecidedness(target))
    pixels = x.clone().requires_grad_()
    p = cnn(pixels).exp() / cnn(pixels).exp().sum(dim=1, keepdim=True)
    (expected,) = torch.autograd.grad(sum(p[:, j].log() for j in range(6)).sum(), pixels)
    torch.testing.assert_close(made, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("settings", [AGI_PATH, ALGORITHM_1])
def test_no_class_enters_the_accumulated_gradient(cnn, x, rng, settings):
    """Two targets that both differ from all explored classes explain alike."""
    one, other = (intrinsic_information(cnn, x, torch.full((4,), t), rng, **settings) for t in (1, 3))
    assert torch.equal(one, other)


def test_aii_walks_to_the_classes_that_agi_walks_to(cnn, x, target, rng, monkeypatch):
    """Whatever the stream is called: the map with drawn classes is the map with the list drawn for AGI."""
    listed = Rng(0, "agi", []).of_the_run().uniform(6)[0].argsort()[:3].tolist()
    draw = AGI_PATH | {"classes": None}
    drawn = intrinsic_information(cnn, x, target, Rng(0, "aii", rng.ids), **draw)
    given = intrinsic_information(cnn, x, target, rng, **AGI_PATH | {"classes": listed})
    assert torch.equal(drawn, given)


def test_the_yamls_are_the_two_readings():
    aii, printed = (instantiate(load([f"method={name}"]).cfg.method).keywords for name in ("aii", "aii_algorithm1"))
    assert aii | {"n_classes": 3, "classes": [4, 0, 2], "steps": 5} == AGI_PATH
    assert printed | {"n_classes": 3, "classes": [4, 0, 2], "steps": 5} == ALGORITHM_1
    assert {k: aii[k] for k in ("n_classes", "epsilon", "steps")} == {
        k: v for k, v in instantiate(load(["method=agi"]).cfg.method).keywords.items() if k != "classes"
    }
