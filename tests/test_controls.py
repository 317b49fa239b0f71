"""The controls that need no network: raster, edges, center. (The random one is pinned by tests/test_rng.py.)"""

import math

import pytest
import torch
from scipy import ndimage

from methods.center import center_map
from methods.edges import edge_map
from methods.raster import raster_map
from metrics.orders import reveal_index


@pytest.mark.parametrize("order", ["element", "channel", "channel_union", "pixel"])
@pytest.mark.parametrize("step", [1, 7, 48])
def test_raster_goes_as_a_map_of_zeros_goes(cnn, x, target, rng, order, step):
    found = reveal_index(raster_map(cnn, x, target, rng), order, step)[0]
    assert torch.equal(found, reveal_index(torch.zeros_like(x), order, step)[0])


def test_raster_starts_at_the_blue_of_the_last_pixel_and_ends_at_the_red_of_the_first(cnn, x, target, rng):
    found = raster_map(cnn, x.float(), target, rng)
    largest_first = found[0].flatten().argsort(descending=True)
    assert torch.equal(largest_first, torch.arange(3 * 256 - 1, -1, -1))
    assert torch.equal(found[0], found[3])


def test_raster_has_no_ties_at_the_size_of_photographs(cnn, rng):
    found = raster_map(cnn, torch.zeros(1, 3, 512, 512), torch.zeros(1, dtype=torch.long), rng)
    assert (found.flatten().diff() > 0).all()


def test_edges_agree_with_scipy(cnn, x, target, rng):
    found = edge_map(cnn, x, target, rng)
    for image, edges in zip(x, found, strict=True):
        grey = image.numpy().mean(axis=0)
        oracle = torch.from_numpy(ndimage.sobel(grey, 0, mode="nearest")).hypot(
            torch.from_numpy(ndimage.sobel(grey, 1, mode="nearest"))
        )
        torch.testing.assert_close(edges, oracle.expand(3, -1, -1), rtol=1e-12, atol=1e-14)


def test_a_step_is_an_edge_and_a_plain_image_has_none(cnn, target, rng):
    x = torch.zeros(4, 3, 16, 16, dtype=torch.float64)
    x[0, :, :, 8:], x[1, :, 5:], x[2] = 1.0, 1.0, 0.7
    found = edge_map(cnn, x, target, rng)
    upright, lying = torch.zeros(2, 3, 16, 16, dtype=torch.float64)
    upright[:, :, 7:9] = lying[:, 4:6] = 4.0
    assert torch.equal(found[0], upright)
    assert torch.equal(found[1], lying)
    assert not found[2:].any(), "no edges at the border"


def test_center_is_a_gaussian_of_the_distance_from_the_middle(cnn, rng):
    x = torch.zeros(2, 3, 16, 20, dtype=torch.float64)
    found = center_map(cnn, x, torch.zeros(2, dtype=torch.long), rng, sigma=0.3)
    for i, j in [(0, 0), (7, 9), (8, 10), (3, 17)]:
        dy, dx = (i - 7.5) / 16, (j - 9.5) / 20
        expected = math.exp(-(dy * dy + dx * dx) / (2 * 0.3**2))
        assert found[1, 2, i, j].item() == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(found, found.flip(2).flip(3), rtol=1e-12, atol=0)
    assert found.amax() == found[0, 0, 7:9, 9:11].amax()


def test_controls_cost_no_pass(cnn, x, target, rng):
    before = cnn.forward_passes
    raster_map(cnn, x, target, rng), edge_map(cnn, x, target, rng), center_map(cnn, x, target, rng, sigma=0.25)
    assert cnn.forward_passes == before
