"""Table 6's attacks beside a slow rewrite that keeps a leaf's .grad as the released program did, and closed forms."""

import pytest
import torch
from conftest import IDS
from hydra.utils import instantiate
from scipy.ndimage import correlate1d
from scipy.stats import norm
from test_diverse_input import literal_view

from bench.choices import CONF
from bench.config import load
from bench.rng import Rng
from methods.parts.gradient import input_gradient, probability
from methods.parts.sign_walk import blurred

ATTACKS = ("noattack", "pgd", "difgsm", "tifgsm", "mifgsm", "sinifgsm")
PILING_UP = ("noattack", "pgd", "difgsm", "tifgsm", "mifgsm")
NAMES = [f"attexplore_{a}" for a in ATTACKS] + [f"attexplore_{a}_as_published" for a in PILING_UP]


def configured(name, **changes):
    return instantiate(load([f"method={name}"]).cfg.method, **changes)


def gaussian(width, std):
    kernel = norm.pdf([i - width // 2 for i in range(width)], scale=std)
    return kernel / kernel.sum()


def smoothed(image, width, std):
    for axis in (-2, -1):
        image = torch.from_numpy(correlate1d(image.numpy(), gaussian(width, std), axis=axis, mode="constant"))
    return image


def slow_attack(cnn, image, t, stream, attack, piling_up, steps, bound=16 / 255):
    """One image, [3, h, w]. The walk descends p_t; what an attack does is written out under its name."""
    alpha, momentum, total = bound / steps, torch.zeros_like(image), torch.zeros_like(image)
    leaf = image.clone().requires_grad_()
    if attack == "pgd":
        leaf.data = (image + (stream.uniform(*image.shape)[0].double() * 2 - 1) * bound).clamp(0, 1)
    path = [image if attack == "pgd" and piling_up else leaf.data.clone()]
    for _ in range(steps):
        if attack == "sinifgsm":
            near = leaf + alpha * momentum
            loss = sum(cnn(near[None] / 2**i).softmax(dim=1)[0, t] for i in range(5)) / 5
        elif attack in ("difgsm", "tifgsm"):
            draw = stream.uniform(4)[0]
            view = literal_view(leaf, draw, 0.9) if draw[3] < 0.5 else leaf
            loss = cnn(view[None]).softmax(dim=1)[0, t]
        else:
            loss = cnn(leaf[None]).softmax(dim=1)[0, t]
        if not piling_up:
            leaf.grad = None
        loss.backward()
        gradient = leaf.grad.clone()
        if attack == "tifgsm":
            gradient = smoothed(gradient, 15, 7 / 3)
        if attack in ("difgsm", "tifgsm", "mifgsm", "sinifgsm"):
            gradient = gradient / gradient.abs().mean()
        if attack in ("mifgsm", "sinifgsm"):
            gradient = momentum = momentum + gradient
        moved = leaf.data - alpha * gradient.sign()
        leaf.data = (image + (moved - image).clamp(-bound, bound)).clamp(0, 1)
        path.append(leaf.data.clone())
        total -= (path[-1] - path[-2]) * gradient
    return total


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_a_slow_rewrite(cnn, x, target, name):
    made = configured(name, steps=4)(cnn, x, target, Rng(0, "m", IDS))
    attack, piling_up = name.split("_")[1], name.endswith("_as_published")
    for n, image in enumerate(IDS):
        slow = slow_attack(cnn, x[n], target[n], Rng(0, "m", [image]), attack, piling_up, steps=4)
        torch.testing.assert_close(made[n], slow, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["attexplore_noattack", "attexplore_mifgsm", "attexplore_tifgsm"])
@pytest.mark.parametrize("direction", ["away", "towards_label"])
def test_one_step_is_the_magnitude_of_a_gradient(cnn, x, target, rng, name, direction):
    x = 0.25 + x / 2  # nothing is clipped
    made = configured(name, steps=1, diverse_probability=0.0, direction=direction)(cnn, x, target, rng)
    gradient = input_gradient(cnn, x, probability(target))
    if name == "attexplore_tifgsm":
        gradient = smoothed(gradient, 15, 7 / 3)
    if name != "attexplore_noattack":
        gradient = gradient / gradient.abs().mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(made, 16 / 255 * gradient.abs(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "attexplore_pgd_as_published"])
def test_never_negative(cnn, x, target, rng, name):
    assert configured(name)(cnn, x, target, rng).min() > -1e-12


def test_a_random_jump_that_counts_mixes_signs(cnn, x, target, rng):
    assert configured("attexplore_pgd_as_published")(cnn, x, target, rng).min() < 0


def passed(cnn, method, x, target):
    """The images that the method showed to the network, pass by pass."""
    seen = []
    hook = cnn.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    method(cnn, x, target, Rng(0, "m", IDS))
    hook.remove()
    return seen


def test_pgd_starts_anywhere_in_the_box_and_stays_there(cnn, x, target):
    seen = passed(cnn, configured("attexplore_pgd"), x, target)
    jump = (seen[0] - x)[(x > 0.1) & (x < 0.9)] / (16 / 255)
    assert -1 <= jump.min() < -0.99
    assert 0.99 < jump.max() <= 1
    assert abs(jump.mean()) < 0.05
    assert abs((jump**2).mean() - 1 / 3) < 0.03  # uniform
    for point in seen:
        assert (point - x).abs().max() <= 16 / 255 + 1e-12
        assert point.min() >= 0
        assert point.max() <= 1


@pytest.mark.parametrize(("nesterov", "sign"), [(-1, 1), (1, -1)])
def test_nesterov_looks_along_the_walk_or_back(cnn, x, target, nesterov, sign):
    """Released, -1: the second step looks at x_1 + alpha G_0, back where the walk came from. Scales: 1, 1/2, … 1/16."""
    x = 0.25 + x / 2
    seen = passed(cnn, configured("attexplore_sinifgsm", steps=2, nesterov=nesterov), x, target)
    assert len(seen) == 10
    alpha = 8 / 255
    mean = sum(input_gradient(cnn, x / 2**i, probability(target)) / 2**i for i in range(5)) / 5
    g0 = mean / mean.abs().mean(dim=(1, 2, 3), keepdim=True)
    point = x - alpha * g0.sign()
    for i in range(5):
        torch.testing.assert_close(seen[i], x / 2**i, rtol=0, atol=1e-12)
        torch.testing.assert_close(seen[5 + i], (point + sign * alpha * g0) / 2**i, rtol=0, atol=1e-10)


def test_piled_up_gradients_are_sums_of_those_along_the_walk(cnn, x, target):
    x = 0.25 + x / 2
    method = configured("attexplore_noattack_as_published", steps=3)
    fresh = [input_gradient(cnn, point, probability(target)) for point in passed(cnn, method, x, target)]
    expected = sum(sum(fresh[: k + 1]).abs() for k in range(3)) * 16 / 255 / 3
    torch.testing.assert_close(method(cnn, x, target, Rng(0, "m", IDS)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("width", "std"), [(7, 1.0), (15, 7 / 3)])
@pytest.mark.parametrize("side", [16, 40])
def test_blur_is_scipys(width, std, side):
    x = Rng(0, "blur", IDS).normal(3, side, side).double()
    torch.testing.assert_close(blurred(x, width, std), smoothed(x, width, std), rtol=0, atol=1e-12)


def test_every_configuration_of_table_6_is_here():
    found = {path.stem for path in (CONF / "method").glob("attexplore_*.yaml")}
    assert found == {*NAMES, "attexplore_paper", "attexplore_naa"}
