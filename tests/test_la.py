"""LA in its three readings, each against a slow rewrite: one image, one run, one step at a time. Identities."""

import pytest
import torch
from hydra.utils import instantiate
from torch.nn.functional import cross_entropy

from bench.config import load
from methods.la import local_attribution

LA, PAPER, ALGORITHM1 = (
    instantiate(load([f"method={name}"]).cfg.method).keywords | {"steps": 4}
    for name in ("la", "la_paper", "la_algorithm1")
)
CLASSES = [4, 0, 2]


def gradient(value, point):
    return torch.autograd.grad(value, point, retain_graph=True)[0]


def leaf(point):
    return point.detach().clone().requires_grad_()


def as_released(model, x, c, classes, steps, s):
    """The objective is p, steps are x / s, points are clipped."""
    total, epsilon = torch.zeros_like(x), x / s
    for t in [None, *classes]:
        t = (t + 1 if t < 5 else t - 1) if t == c else t
        point = x
        for _ in range(steps):
            point = leaf(point)
            p = model(point[None]).softmax(dim=1)[0]
            direction = -gradient(p[c], point) if t is None else gradient(p[t], point)
            after = (x + epsilon * direction.sign()).clamp(0, 1)
            total = total - gradient(p[c], point) * (after - x)
            point = after
    return total


def by_the_equations(model, x, c, n, steps, s):
    """Eq. 6: x + eps / 2 sign dL(y); Eq. 7: x - eps / 2 sign dL(t); Eq. 2: (x_k - x) dL(y) at the point before."""
    ranking = [t for t in model(x[None])[0].argsort(descending=True).tolist() if t != c][:n]
    total, epsilon = torch.zeros_like(x), x / s
    for t in [c, *ranking]:
        point = x
        for _ in range(steps):
            point = leaf(point)
            logits = model(point[None])
            slope = gradient(cross_entropy(logits, torch.tensor([t])), point)
            after = x + (1 if t == c else -1) * epsilon / 2 * slope.sign()
            total = total + (after - x) * gradient(cross_entropy(logits, torch.tensor([c])), point)
            point = after
    return total


def by_the_listing(model, x, c, n, steps, s):
    """Lines 4-5: x + eps / 2 sign g_y, A += eps / 2 |g_y|; lines 9-10: x + eps / 2 sign g_t, A -= eps / 2 |g_t|."""
    ranking = [t for t in model(x[None])[0].argsort(descending=True).tolist() if t != c][:n]
    total, epsilon = torch.zeros_like(x), x / s
    for t in [c, *ranking]:
        point = x
        for _ in range(steps):
            point = leaf(point)
            slope = gradient(cross_entropy(model(point[None]), torch.tensor([t])), point)
            total = total + (1 if t == c else -1) * epsilon / 2 * slope.abs()
            point = x + epsilon / 2 * slope.sign()
    return total


def stack(slow, cnn, x, target, *settings):
    return torch.stack([slow(cnn, x[i], int(target[i]), *settings) for i in range(len(x))])


@pytest.fixture
def x(x):
    """Some black, some bright values, so that eps is 0 here and a clip is felt there."""
    return torch.where(x < 0.1, 0, (x * 1.3).clamp(max=1))


def test_the_slow_rewrite_of_the_released_code(cnn, x, target, rng):
    maps = local_attribution(cnn, x, target, rng, **LA | {"classes": CLASSES, "spatial_range": 5.0})
    torch.testing.assert_close(maps, stack(as_released, cnn, x, target, CLASSES, 4, 5), rtol=1e-9, atol=1e-13)


def test_the_slow_rewrite_of_the_equations(cnn, x, target, rng):
    maps = local_attribution(cnn, x, target, rng, **PAPER | {"n_classes": 3, "spatial_range": 5.0})
    torch.testing.assert_close(maps, stack(by_the_equations, cnn, x, target, 3, 4, 5), rtol=1e-9, atol=1e-12)


def test_the_slow_rewrite_of_algorithm_1(cnn, x, target, rng):
    maps = local_attribution(cnn, x, target, rng, **ALGORITHM1 | {"n_classes": 3, "spatial_range": 5.0})
    torch.testing.assert_close(maps, stack(by_the_listing, cnn, x, target, 3, 4, 5), rtol=1e-9, atol=1e-12)


def test_runners_up_leave_out_the_target_not_the_prediction(cnn, x, target, rng):
    """run.target=label on images that the network gets wrong."""
    wrong = cnn(x).argsort(dim=1, descending=True)[:, 2]
    maps = local_attribution(cnn, x, wrong, rng, **PAPER | {"n_classes": 2})
    torch.testing.assert_close(maps, stack(by_the_equations, cnn, x, wrong, 2, 4, 20), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("settings", [LA, PAPER, ALGORITHM1])
def test_untargeted_is_never_negative_and_adds_up_with_targeted(cnn, x, target, rng, settings):
    arms = {a: local_attribution(cnn, x, target, rng, **settings | {"attack": a}) for a in ("untargeted", "targeted")}
    assert (arms["untargeted"] >= 0).all()
    assert (arms["targeted"] != 0).any()
    both = local_attribution(cnn, x, target, rng, **settings)
    torch.testing.assert_close(sum(arms.values()), both, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("settings", [LA, PAPER, ALGORITHM1])
def test_black_values_get_nothing_in_the_linear_space_only(cnn, x, target, rng, settings):
    linear, constant = (
        local_attribution(cnn, x, target, rng, **settings | {"space": s}) for s in ("linear", "constant")
    )
    assert (x == 0).any()
    assert (linear[x == 0] == 0).all()
    assert (constant[x == 0] != 0).any()


def test_the_spaces_agree_on_a_white_image(cnn, x, target, rng):
    """x / s = 1 / s where x = 1."""
    white = torch.ones_like(x)
    linear, constant = (local_attribution(cnn, white, target, rng, **LA | {"space": s}) for s in ("linear", "constant"))
    assert torch.equal(linear, constant)


def test_half_steps_are_a_range_twice_as_wide(cnn, x, target, rng):
    half = local_attribution(cnn, x, target, rng, **LA | {"step": 0.5, "spatial_range": 10.0})
    torch.testing.assert_close(half, local_attribution(cnn, x, target, rng, **LA | {"spatial_range": 20.0}))
    assert not torch.allclose(half, local_attribution(cnn, x, target, rng, **LA | {"spatial_range": 10.0}))


def test_more_classes_go_on_with_the_same_draw(cnn, x, target, rng):
    """All six, drawn, are the six listed; the first three of them are those of n_classes = 3."""
    listed = rng.of_the_run().uniform(6)[0].argsort().tolist()
    six = local_attribution(cnn, x, target, rng, **LA)
    assert torch.equal(six, local_attribution(cnn, x, target, rng, **LA | {"classes": listed}))
    three = local_attribution(cnn, x, target, rng, **LA | {"n_classes": 3})
    assert torch.equal(three, local_attribution(cnn, x, target, rng, **LA | {"classes": listed[:3]}))


@pytest.mark.parametrize(
    ("name", "forward", "backward"),
    [("la", 4 * 7, 4 + 6 * 7), ("la_paper", 4 * 6, 4 + 5 * 7), ("la_algorithm1", 24, 24)],
)
def test_cost_is_as_the_card_says(cnn, x, target, rng, name, forward, backward):
    """N (R + 1) and N + R (2 N - 1) with N = 4 and R = 6 listed classes or 5 runners-up."""
    local_attribution(cnn, x[:1], target[:1], rng, **{"la": LA, "la_paper": PAPER, "la_algorithm1": ALGORITHM1}[name])
    assert (cnn.forward_passes, cnn.backward_passes) == (forward + 4, backward), (
        "4: the fixture's look at the clean images"
    )


def test_maxvit_has_its_own_number_of_steps():
    for name in ("la", "la_paper", "la_algorithm1"):
        assert load([f"method={name}", "model=maxvit_t"]).cfg.method.steps == 30
        assert load([f"method={name}", "model=resnet50"]).cfg.method.steps == 20
