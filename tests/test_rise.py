"""RISE beside the released code's words, and in closed form."""

import numpy as np
import pytest
import torch
from conftest import CLASSES, IDS, network
from jobs import small_job
from torch import nn

from bench.rng import Rng
from bench.running.forecast import forecast
from methods.rise import random_mask, rise


def enlarged(grid, size):
    """Bilinear, pixel by pixel; flat beyond the outermost centres."""
    out = np.zeros((size, size))
    n = len(grid)
    for i in range(size):
        for j in range(size):
            y, x = (min(max((k + 0.5) * n / size - 0.5, 0), n - 1) for k in (i, j))
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, n - 1), min(x0 + 1, n - 1)
            top = grid[y0, x0] * (1 - x + x0) + grid[y0, x1] * (x - x0)
            low = grid[y1, x0] * (1 - x + x0) + grid[y1, x1] * (x - x0)
            out[i, j] = top * (1 - y + y0) + low * (y - y0)
    return out


def slow_rise(cnn, image, t, stream, masks, cells, share):
    """One image, [1, 3, h, h]."""
    size = image.shape[-1]
    cell = int(np.ceil(size / cells))
    total = np.zeros((size, size))
    for _ in range(masks):
        grid = (stream.uniform(1, cells, cells)[0, 0].numpy() < share).astype("float64")
        down, right = int(stream.integers(cell)), int(stream.integers(cell))
        mask = enlarged(grid, (cells + 1) * cell)[down : down + size, right : right + size]
        total += cnn(image * torch.from_numpy(mask)).softmax(1)[0, t].item() * mask
    return torch.from_numpy(total / masks / share)


@pytest.mark.parametrize(("cells", "share"), [(4, 0.5), (3, 0.2)])
def test_agrees_with_a_slow_rewrite(cells, share, cnn, x, target):
    made = rise(cnn, x, target, Rng(0, "rise", IDS), masks=6, cells=cells, share=share)
    for i, image in enumerate(IDS):
        slow = slow_rise(cnn, x[i : i + 1], target[i], Rng(0, "rise", [image]), 6, cells, share)
        torch.testing.assert_close(made[i], slow.expand(3, -1, -1), rtol=1e-6, atol=1e-7)


class OnePatch(nn.Module):
    """Certain of class 1 in proportion to how much of the patch at rows 4 to 8, columns 8 to 12 is seen."""

    def forward(self, x):
        p = 0.05 + 0.9 * x[:, :, 4:8, 8:12].mean((1, 2, 3))
        rest = ((1 - p) / (CLASSES - 1)).log()[:, None].expand(-1, CLASSES - 1)
        return torch.cat([rest[:, :1], p.log()[:, None], rest[:, 1:]], 1)


def test_finds_the_patch_that_the_network_looks_at(rng):
    model = network(OnePatch()).double()
    model.mean.zero_()
    model.std.fill_(1)
    x = torch.ones(4, 3, 16, 16, dtype=torch.float64)
    made = rise(model, x, torch.ones(4, dtype=torch.long), rng, masks=500, cells=4, share=0.5)[:, 0]
    inside = made[:, 4:8, 8:12].mean((1, 2))
    assert (inside > 1.2 * made.mean((1, 2))).all()


def test_masks_show_their_share_on_average_and_differ_from_image_to_image(x, rng):
    masks = torch.stack([random_mask(rng, x, 4, 0.3) for _ in range(400)])
    assert masks.min() >= 0 and masks.max() <= 1
    assert abs(masks.mean() - 0.3) < 0.01
    assert (masks[:, 0] - masks[:, 1]).abs().mean() > 0.1


def test_the_forecast_does_not_try_every_mask(tmp_path):
    said = forecast(small_job(tmp_path, "method=rise", "metric=[unified]"), [])
    assert (said.forward, said.backward) == (4000, 0)
