"""The confusion colour: found where it can be worked out."""

import math

import torch
from conftest import network
from torch import nn

from bench.rng import Rng
from metrics.confusion import search


class Distance(nn.Module):
    """Uniform at one colour, more certain the further from it. Sees normalised pixels: mean 0.5, std 0.25."""

    def __init__(self, colour):
        super().__init__()
        self.colour = (torch.tensor(colour) - 0.5) / 0.25

    def forward(self, x):
        far = (x.mean(dim=(2, 3)) - self.colour).pow(2).sum(dim=1)
        return torch.stack([far, -far, 0 * far], dim=1)


def test_the_colour_of_least_certainty_is_found():
    found = search(network(Distance([0.2, 0.9, 0.4]), 8), Rng(0, "confusion", [""]), 8)
    torch.testing.assert_close(torch.tensor(found.colour), torch.tensor([0.2, 0.9, 0.4]), atol=0.02, rtol=0)
    assert math.isclose(found.entropy, math.log(3), abs_tol=1e-3)
    assert math.isclose(found.kl, 0, abs_tol=1e-3)


def test_a_needle_at_mid_grey_is_found_among_the_named_colours(cnn):
    class Needle(nn.Module):
        def forward(self, x):
            x = x.mean(dim=(2, 3))
            return torch.cat([torch.where(x.abs() < 1e-6, 0, 3 + x), 0 * x[:, :1]], dim=1)

    assert search(network(Needle(), 8), Rng(0, "confusion", [""]), 8).colour == (0.5, 0.5, 0.5)


def test_no_start_ends_less_confused_than_it_began(cnn):
    rng = lambda: Rng(3, "confusion", [""])  # noqa: E731
    whole = search(cnn, rng(), 16)
    begin = search(cnn, rng(), 16, steps=0)
    assert whole.entropy > begin.entropy
    assert all(0 <= channel <= 1 for channel in whole.colour)
    p = cnn(torch.tensor(whole.colour).double().view(1, 3, 1, 1).expand(1, 3, 16, 16)).softmax(dim=1)
    torch.testing.assert_close(-(p * p.log()).sum(), torch.tensor(whole.entropy).double())
    torch.testing.assert_close((1 / 6 / p).log().mean(), torch.tensor(whole.kl).double())
