"""Diverse input as matrices, beside torch's interpolate and pad."""

import pytest
import torch
from conftest import IDS
from torch import nn
from torch.nn.functional import interpolate, pad

from bench.rng import Rng
from methods.parts.diverse_input import diverse_gradient, random_view

SETTINGS = [(1.15, True), (1.15, False), (0.9, True)]


def literal_view(image, draw, rate, resize_back=True):
    """Resize, pad, resize back: [3, n, n] of one image and its four draws, size, top, left and coin."""
    side = image.shape[-1]
    low, high = (int(side * rate), side) if rate < 1 else (side, int(side * rate))
    size = low + int(draw[0].item() * (high - low))
    room = high - size
    top, left = int(draw[1].item() * room), int(draw[2].item() * room)
    resized = interpolate(image[None], size=[size, size], mode="bilinear", align_corners=False)
    canvas = pad(resized, [left, room - left, top, room - top])
    back = interpolate(canvas, size=[side, side], mode="bilinear", align_corners=False) if resize_back else canvas
    return back[0]


@pytest.mark.parametrize(("rate", "resize_back"), SETTINGS)
@pytest.mark.parametrize("side", [16, 33])
def test_matrices_resize_place_and_resize_back(rate, resize_back, side):
    x = Rng(0, "view", IDS).uniform(3, side, side).double()
    for seed in range(5):
        view, _ = random_view(Rng(seed, "v", IDS), x, rate=rate)
        rows, columns = view.matrices(x, resize_back=resize_back)
        draws = Rng(seed, "v", IDS).uniform(4)
        literal = [literal_view(image, draw, rate, resize_back) for image, draw in zip(x, draws, strict=True)]
        torch.testing.assert_close(rows @ x @ columns.mT, torch.stack(literal), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("rate", "sizes", "canvas"), [(1.15, range(224, 257), 257), (0.9, range(201, 224), 224)])
def test_sizes_and_places_at_224(rate, sizes, canvas):
    """Every size is drawn; places start at 0 and the last row and column of the canvas stay free, as released."""
    ids = [str(i) for i in range(150)]
    x = torch.zeros(len(ids), 3, 1, 224)
    view, coin = random_view(Rng(0, "v", ids), x, rate=rate)
    rows, columns = view.matrices(x, resize_back=False)
    assert rows.shape == columns.shape == (len(ids), 1, canvas, 224)
    found, starts = set(), []
    for matrix in (rows, columns):
        covered = matrix[:, 0].sum(dim=2) > 0.5  # [150, canvas]
        size, start = covered.sum(dim=1), covered.int().argmax(dim=1)
        assert (start >= 0).all()
        assert (start + size < canvas).all()
        found |= set(size.tolist())
        starts.append(start)
    assert found == set(sizes)
    assert min(starts[0]) == 0
    assert max(starts[0]) > 0.8 * (len(sizes) - 1)
    assert not torch.equal(*starts)
    assert 0.4 < (coin < 0.5).mean() < 0.6


class Weighted(nn.Module):
    """A logit whose gradient is known: the sum of squares of what it sees, of any size."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(x.detach())
        return torch.stack([(x**2).flatten(1).sum(dim=1), x.flatten(1).sum(dim=1)], dim=1)


@pytest.mark.parametrize(("rate", "resize_back"), [*SETTINGS, (0.9, False)])
def test_gradient_comes_back_through_the_view(x, rate, resize_back):
    """Beside autograd through interpolate and pad. Without resizing back all images share one draw."""
    model, shapes = Weighted(), set()
    fixed = resize_back or rate < 1
    views, twin = Rng(3, "v", IDS), Rng(3, "v", IDS)
    if not resize_back:
        views, twin = views.of_the_run(), twin.of_the_run()
    for _ in range(8):
        made = diverse_gradient(model, x, lambda z: z[:, 0], views, rate=rate, probability=0.5, resize_back=resize_back)
        shapes.add(model.seen[-1].shape[-1])
        for image, draw, gradient in zip(x, twin.uniform(4).expand(len(x), 4), made, strict=True):
            leaf = image.clone().requires_grad_()
            view = literal_view(leaf, draw, rate, resize_back) if draw[3] < 0.5 else leaf
            torch.testing.assert_close(gradient, torch.autograd.grad((view**2).sum(), leaf)[0], rtol=0, atol=1e-12)
    assert shapes == ({16} if fixed else {16, 18})


def test_what_is_not_shown_passes_bit_for_bit(x):
    model = Weighted()
    for probability in (0.0, 1e-9):  # no draw at all, and a coin that never falls
        diverse_gradient(
            model, x, lambda z: z[:, 0], Rng(0, "v", IDS), rate=1.15, probability=probability, resize_back=True
        )
        assert torch.equal(model.seen[-1], x)
