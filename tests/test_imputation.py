"""Noisy linear imputation against a direct sparse solution of its equations, written down pixel by pixel."""

import pytest
import torch
from conftest import IDS
from scipy import sparse
from scipy.sparse.linalg import spsolve

from bench.rng import Rng
from metrics.batch import MapBatch
from metrics.imputation import NOISE, imputed, linear, noise_of
from metrics.perturbation import perturbation

NEIGHBOURS = {(i, j): (1 / 6 if i * j == 0 else 1 / 12) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)}


def direct(x, missing):
    """float64 [B, 3, H, W], [B, 3, H, W] -> the same filled in."""
    filled, missing = x.double().clone(), missing.expand_as(x)
    height, width = x.shape[2:]
    for b in range(len(x)):
        for c in range(3):
            unknown = [(i, j) for i in range(height) for j in range(width) if missing[b, c, i, j]]
            place = {at: k for k, at in enumerate(unknown)}
            matrix, right = sparse.lil_matrix((len(unknown), len(unknown))), [0.0] * len(unknown)
            for k, (i, j) in enumerate(unknown):
                for (di, dj), weight in NEIGHBOURS.items():
                    at = (i + di, j + dj)
                    if not (0 <= at[0] < height and 0 <= at[1] < width):
                        continue
                    matrix[k, k] += weight
                    if at in place:
                        matrix[k, place[at]] -= weight
                    else:
                        right[k] += weight * float(x[b, c, at[0], at[1]])
            for at, value in zip(unknown, spsolve(matrix.tocsc(), right), strict=True):
                filled[b, c, at[0], at[1]] = value
    return filled


def masks(size):
    """Missing everywhere but one pixel, at random, in the middle, around it, in one channel only."""
    distance = (torch.arange(size) - size / 2).abs()
    middle = (distance[:, None].maximum(distance) < size / 3).expand(3, -1, -1)
    lots = Rng(3, "mask", [""]).uniform(3, size, size)[0]
    lone = torch.ones(3, size, size, dtype=torch.bool)
    lone[:, 2, 3] = False
    one = torch.zeros(3, size, size, dtype=torch.bool)
    one[1] = True
    one[1, :, 0] = False
    return torch.stack([lone, lots < 0.9, middle, ~middle, one])


@pytest.mark.parametrize("size", [16, 37])
def test_it_solves_the_equations(size):
    missing = masks(size)
    x = Rng(5, "pictures", [str(k) for k in range(len(missing))]).uniform(3, size, size).double()
    error = (linear(x, missing) - direct(x, missing)).abs().amax(dim=(1, 2, 3))
    assert (error < 0.1 * NOISE).all(), error
    assert torch.equal(linear(x, missing)[~missing], x[~missing])


def test_whole_pixels_may_be_given_by_one_mask(x):
    missing = masks(16)[1:2, :1]
    torch.testing.assert_close(linear(x[:1], missing), linear(x[:1], missing.expand(1, 3, -1, -1)))


def test_a_ramp_is_restored_and_nothing_left_becomes_the_channels_mean():
    ramp = torch.linspace(0, 1, 32, dtype=torch.float64).expand(1, 3, 32, 32)
    inner = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    inner[..., 8:20, 5:27] = True
    torch.testing.assert_close(linear(ramp, inner), ramp.contiguous(), rtol=0, atol=0.1 * NOISE)
    everything = torch.ones_like(inner)
    torch.testing.assert_close(linear(ramp, everything), torch.full_like(ramp, 0.5), rtol=0, atol=1e-12)


def test_noise_is_of_the_image_alone_and_only_where_something_was_taken(x):
    missing = masks(16)[[1, 2, 3, 4]]
    noisy = imputed(x, missing, noise_of(IDS, x))
    assert torch.equal(noisy[~missing], x[~missing])
    noise = (noisy - linear(x, missing))[missing]
    assert abs(noise.std() - NOISE) < 0.1 * NOISE and abs(noise.mean()) < 0.1 * NOISE
    turned = imputed(x[[2, 0]], missing[[2, 0]], noise_of(["fox", "cat"], x))
    torch.testing.assert_close(turned, noisy[[2, 0]], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("order", "step"), [("element", 192), ("pixel", 64)])
def test_its_game_equals_frame_by_frame_imputation(cnn, x, target, order, step):
    maps = torch.sin(37 * x)
    batch = MapBatch(cnn, x, target, maps, ids=IDS, seed=0, colour=lambda: torch.zeros(3))
    scores = perturbation(batch, order=order, baseline="linear", readout="probability", step=step)
    flat = maps if order == "element" else maps.mean(dim=1, keepdim=True)
    ranked = flat.flatten(1).argsort(dim=1, descending=True).argsort(dim=1).view_as(flat)
    for side, shown in (
        ("insertion_curve", lambda k: ranked >= k * step),
        ("deletion_curve", lambda k: ranked < k * step),
    ):
        frames = [imputed(x, shown(k), noise_of(IDS, x)) for k in range(5)]
        curve = torch.stack([cnn(f).softmax(dim=1).gather(1, target[:, None]).squeeze(1) for f in frames], dim=1)
        torch.testing.assert_close(scores[side], curve, rtol=0, atol=1e-9)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_images_are_left_as_they_were_and_their_batch_and_layout_tell_nothing(n, layout):
    images = torch.rand(8, 3, 33, 30, generator=torch.Generator().manual_seed(0))
    missing = images.roll(1, dims=0) > torch.linspace(0.1, 0.9, 8).view(8, 1, 1, 1)
    whole = linear(images, missing)
    x, gone = (part[:n].contiguous(memory_format=layout) for part in (images, missing))
    before, taken = x.clone(), gone.clone()
    assert torch.equal(linear(x, gone), whole[:n])
    assert torch.equal(x, before)
    assert torch.equal(gone, taken)
