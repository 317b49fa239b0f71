"""AttEXplore beside SciPy's DCT, a slow rewrite, and what its formula says of special cases."""

import pytest
import torch
from conftest import CLASSES, IDS, network
from hydra.utils import instantiate
from scipy.fft import dctn, idctn
from scipy.ndimage import correlate1d
from scipy.stats import norm
from test_diverse_input import literal_view
from torch import nn

from bench.config import load
from bench.rng import Rng
from methods.attexplore import dct_matrix
from methods.parts.gradient import input_gradient, probability


def configured(name, **changes):
    return instantiate(load([f"method={name}"]).cfg.method, **changes)


def slow_attexplore(model, image, t, stream, shared, s):
    """One image [3, h, w], one copy at a time, SciPy's transforms and blur; s: the settings."""
    bound, sense = s["epsilon"] / 255, {"towards_label": 1, "away": -1}[s["direction"]]
    point, momentum, total = image.clone(), torch.zeros_like(image), torch.zeros_like(image)
    for _ in range(s["steps"]):
        mean = torch.zeros_like(image)
        for _ in range(s["copies"]):
            noisy = point + stream.normal(*image.shape)[0].double() * s["sigma"] / 255
            if s["mask"] == "uniform":
                mask = (1 - s["rho"]) + 2 * s["rho"] * stream.uniform(*image.shape)[0].double()
            else:
                mask = 1 + s["rho"] * stream.normal(*image.shape)[0].double()
            spectrum = dctn(noisy.numpy(), type=2, axes=(1, 2)) * mask.numpy()  # SciPy's default: not normalised
            leaf = torch.from_numpy(idctn(spectrum, type=2, axes=(1, 2))).requires_grad_()
            view = leaf
            if s["diverse_probability"] > 0:
                draw = (stream if s["resize_back"] else shared).uniform(4)[0]
                if draw[3] < s["diverse_probability"]:
                    view = literal_view(leaf, draw, s["diverse_rate"], s["resize_back"])
            mean += torch.autograd.grad(model(view[None]).softmax(dim=1)[0, t], leaf)[0] / s["copies"]
        if s["blur"]:
            kernel = norm.pdf([i - s["blur"] // 2 for i in range(s["blur"])], scale=s["blur_std"])
            kernel /= kernel.sum()
            smooth = correlate1d(mean.numpy(), kernel, axis=1, mode="constant")
            mean = torch.from_numpy(correlate1d(smooth, kernel, axis=2, mode="constant"))
        if s["normalise"]:
            mean = mean / mean.abs().mean()
        momentum = s["decay"] * momentum + mean
        step = point + sense * bound / s["steps"] * momentum.sign()
        step = (image + (step - image).clamp(-bound, bound)).clamp(0, 1)
        total += sense * (step - point) * momentum
        point = step
    return total


class AnySize(nn.Module):
    """A network that takes images of any size."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 8, 3, stride=2), nn.Tanh())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.features(x).mean(dim=(2, 3))) * 5


@pytest.fixture
def any_size():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return network(AnySize()).double()


def test_few_images_fill_passes_of_canvases_and_of_images_and_keep_every_bit(any_size, x):
    """Copies that are shown on a canvas are larger than those that are not, and no pass can hold both."""
    method = configured("attexplore", copies=7, steps=2, resize_back=False)
    maps, passes = [], []
    for places in ([0, 1, 2, 3], [0, 1, 1, 1]):
        before = any_size.forward_passes
        ids, target = [IDS[i] for i in places], torch.tensor(places)
        maps.append(method(any_size.float(), x[places].float(), target, Rng(0, "method", ids)))
        passes.append(any_size.forward_passes - before)
    assert torch.equal(maps[1], maps[0][[0, 1, 1, 1]])
    assert passes[1] < 0.8 * passes[0]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("attexplore", {}),
        ("attexplore", {"resize_back": False}),
        ("attexplore", {"direction": "away", "decay": 0.5, "epsilon": 60.0, "sigma": 30.0}),
        ("attexplore_paper", {}),
        ("attexplore_paper", {"epsilon": 16.0, "rho": 0.2}),
    ],
)
def test_agrees_with_a_slow_rewrite(any_size, x, name, changes):
    method = configured(name, copies=3, steps=3, **changes)
    target = any_size(x).argmax(dim=1)
    made = method(any_size, x, target, Rng(0, "m", IDS))
    shared = Rng(0, "m", IDS)
    for n, image in enumerate(IDS):
        slow = slow_attexplore(any_size, x[n], target[n], Rng(0, "m", [image]), shared.of_the_run(), method.keywords)
        torch.testing.assert_close(made[n], slow, rtol=1e-9, atol=1e-12 * float(slow.abs().max()))


@pytest.mark.parametrize("n", [16, 17, 224])
def test_dct_is_scipys_and_inverts(n):
    x = Rng(0, "dct", ["a"]).uniform(3, n, n).double()
    matrix = dct_matrix(n, x)
    spectrum = matrix @ x @ matrix.mT
    torch.testing.assert_close(spectrum[0].numpy(), dctn(x[0].numpy(), axes=(1, 2), norm="ortho"), rtol=0, atol=1e-10)
    torch.testing.assert_close(matrix.mT @ spectrum @ matrix, x, rtol=0, atol=1e-10)
    mask = 0.5 + Rng(1, "dct", ["a"]).uniform(3, n, n).double()
    masked = idctn(dctn(x[0].numpy(), axes=(1, 2)) * mask[0].numpy(), axes=(1, 2))
    torch.testing.assert_close((matrix.mT @ (spectrum * mask) @ matrix)[0].numpy(), masked, rtol=0, atol=1e-10)


def test_round_trip_in_fp32():
    x = Rng(0, "dct", ["a"]).uniform(3, 224, 224)
    matrix = dct_matrix(224, x)
    torch.testing.assert_close(matrix.mT @ (matrix @ x @ matrix.mT) @ matrix, x, rtol=0, atol=1e-5)


@pytest.mark.parametrize("direction", ["towards_label", "away"])
def test_without_noise_mask_and_views_a_step_is_the_plain_gradient(cnn, x, target, rng, direction):
    """A = alpha |grad p|, in either direction. Far from black and white, so that nothing is clipped."""
    x = 0.25 + x / 2
    method = configured("attexplore_paper", steps=1, copies=4, sigma=0.0, rho=0.0, direction=direction)
    expected = input_gradient(cnn, x, probability(target)).abs() * 48 / 255
    torch.testing.assert_close(method(cnn, x, target, rng), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["attexplore", "attexplore_paper"])
def test_never_negative(cnn, x, target, rng, name):
    assert configured(name, copies=2)(cnn, x, target, rng).min() > -1e-12


def test_the_released_walk_goes_up_and_the_papers_down(cnn, x, target):
    """The probability along the walk, read off the passes that the method makes with nothing perturbed."""
    along = {}
    for direction in ("towards_label", "away"):
        seen = []
        hook = cnn.register_forward_hook(
            lambda m, i, o, seen=seen: seen.append(o.detach().softmax(dim=1).gather(1, target[:, None]))
        )
        configured("attexplore_paper", copies=1, sigma=0.0, rho=0.0, direction=direction)(
            cnn, x, target, Rng(0, "m", IDS)
        )
        hook.remove()
        along[direction] = torch.cat(seen, dim=1)
    assert (along["towards_label"][:, -1] > along["towards_label"][:, 0]).all()
    assert (along["away"][:, -1] < along["away"][:, 0]).all()


def test_a_gradient_of_zero_is_a_map_of_zero(x, rng):
    class Blind(nn.Module):
        def forward(self, x):
            return 0 * x.flatten(1).sum(dim=1, keepdim=True) + torch.arange(3.0)

    target = torch.zeros(len(x), dtype=torch.long)
    assert torch.equal(
        configured("attexplore", copies=1)(network(Blind()).double(), x, target, rng), torch.zeros_like(x)
    )
