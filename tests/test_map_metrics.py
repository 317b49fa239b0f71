"""Metrics that ask the network little or nothing, beside Quantus, SciPy and rewrites."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from conftest import IDS
from sklearn.metrics import roc_auc_score

from bench.rng import Rng
from metrics.average_drop import average_drop
from metrics.batch import MapBatch, Unfit
from metrics.complexity import complexity
from metrics.increase import increase
from metrics.irof import irof
from metrics.mask_ranks import auc_mask, rank_accuracy
from metrics.sparseness import sparseness
from metrics.subset_correlation import correlation, subset_correlation


def batch_of(model, x, target, maps, mask=None):
    return MapBatch(model, x, target, maps, ids=IDS[: len(x)], seed=0, colour=lambda: torch.zeros(3), mask=mask)


def judged(metric, maps, mask=None, **settings):
    """By a metric that asks no network."""
    return metric(batch_of(torch.nn.Identity(), maps, torch.zeros(len(maps)).long(), maps, mask), **settings)["score"]


@pytest.fixture
def maps(x):
    """Signed, different in every image and channel."""
    return torch.sin(37 * x) + 0.2


@pytest.fixture
def mask(x):
    """A third of the image or so, ragged."""
    return x[:, 0] > 0.7


def quantus(name, maps, mask=None, **settings):
    """Scores of maps [B, C, H, W], as they are."""
    library = pytest.importorskip("quantus")
    metric = getattr(library, name)(abs=False, normalise=False, disable_warnings=True, **settings)
    given = {"x_batch": np.zeros((len(maps), 3, *maps.shape[2:])), "y_batch": np.zeros(len(maps), int), "model": None}
    return torch.tensor(metric(**given, a_batch=maps.numpy(), s_batch=None if mask is None else mask[:, None].numpy()))


@pytest.mark.filterwarnings("ignore")
def test_sparseness_agrees_with_quantus(maps):
    pytest.importorskip("quantus")
    theirs = quantus("Sparseness", maps.abs())
    torch.testing.assert_close(judged(sparseness, maps), theirs, rtol=1e-6, atol=1e-6)


def test_sparseness_by_hand():
    one = torch.zeros(1, 3, 2, 2)
    one[0, 1, 0, 1] = -5
    assert judged(sparseness, one).item() == pytest.approx(11 / 12)
    assert judged(sparseness, torch.full((1, 3, 2, 2), -2.0)).item() == pytest.approx(0)
    assert judged(sparseness, torch.zeros(1, 3, 2, 2)).item() == 0


@pytest.mark.filterwarnings("ignore")
def test_complexity_agrees_with_quantus_and_scipy(maps):
    theirs = torch.from_numpy(scipy.stats.entropy(maps.abs().flatten(1).numpy(), axis=1))
    torch.testing.assert_close(judged(complexity, maps), theirs)
    torch.testing.assert_close(judged(complexity, maps), quantus("Complexity", maps.abs()).double(), rtol=1e-6, atol=0)


def test_complexity_at_its_ends():
    one = torch.zeros(1, 3, 2, 2)
    one[0, 1, 0, 1] = -5
    assert judged(complexity, one).item() == 0
    for flat in (0.0, 3.0):
        assert judged(complexity, torch.full((1, 3, 2, 2), flat)).item() == pytest.approx(math.log(12))


@pytest.mark.filterwarnings("ignore")
def test_ranks_on_the_object_agree_with_quantus(maps, mask):
    heat = maps.sum(1, keepdim=True)
    theirs = quantus("RelevanceRankAccuracy", heat, mask).double()
    torch.testing.assert_close(judged(rank_accuracy, maps, mask), theirs)
    torch.testing.assert_close(judged(auc_mask, maps, mask), quantus("AUC", heat, mask).double())


def test_auc_counts_ties_as_half(maps, mask):
    coarse = (3 * maps).round()
    coarse[:, 1:] = 0
    theirs = [roc_auc_score(m.flatten(), c.sum(0).flatten()) for m, c in zip(mask, coarse, strict=True)]
    assert judged(auc_mask, coarse, mask).tolist() == pytest.approx(theirs)


def test_chance_is_the_masks_share_and_a_half(x):
    noise = Rng(0, "noise", [f"{i}" for i in range(200)]).uniform(3, 8, 8)
    mask = torch.zeros(200, 8, 8, dtype=torch.bool)
    mask[:, 2:5, 1:6] = True
    assert judged(rank_accuracy, noise, mask).mean().item() == pytest.approx(15 / 64, abs=0.02)
    assert judged(auc_mask, noise, mask).mean().item() == pytest.approx(0.5, abs=0.02)


def test_masks_of_nothing_and_everything(maps):
    for mask, rank in ((torch.zeros(4, 16, 16), 0), (torch.ones(4, 16, 16), 1)):
        assert judged(rank_accuracy, maps, mask.bool()).tolist() == [rank] * 4
        assert judged(auc_mask, maps, mask.bool()).tolist() == [0.5] * 4


@pytest.mark.parametrize("metric", [rank_accuracy, auc_mask])
def test_images_without_masks_are_unfit(metric, maps):
    with pytest.raises(Unfit, match="come without masks"):
        judged(metric, maps)


def slow_part(cnn, image, t, heat):
    """p of the whole image and of the explained part; heat: [3, H, W]."""
    mean = sum(heat[c] for c in range(3)) / 3
    shown = (mean - mean.min()) / (mean.max() - mean.min())
    return [cnn(seen[None]).softmax(1)[0, t].item() for seen in (image, image * shown)]


def test_average_drop_and_increase_agree_with_a_slow_rewrite(cnn, x, target, maps):
    target = torch.tensor([2, 1, 5, 0])  # of which some rise
    pairs = [slow_part(cnn, x[i], target[i], maps[i]) for i in range(4)]
    drops = [max(0.0, whole - part) / whole for whole, part in pairs]
    assert average_drop(batch_of(cnn, x, target, maps))["score"].tolist() == pytest.approx(drops)
    rises = [float(part > whole) for whole, part in pairs]
    assert increase(batch_of(cnn, x, target, maps))["score"].tolist() == rises
    assert 0 < sum(rises) < 4 and sum(drops) > 0, "all alike would agree with anything"


def test_a_flat_map_shows_nothing(cnn, x, target):
    black = cnn(torch.zeros_like(x)).softmax(1).gather(1, target[:, None])[:, 0]
    whole = cnn(x).softmax(1).gather(1, target[:, None])[:, 0]
    made = average_drop(batch_of(cnn, x, target, torch.ones_like(x)))["score"]
    torch.testing.assert_close(made, (whole - black).clamp(min=0) / whole)


def subsets(shape, size, draws):
    """The indices that the metric takes away, draw by draw: [B, size]."""
    rng = Rng(0, "subset_correlation", IDS)
    return [rng.integers(1 << 62, shape).argsort(dim=1)[:, :size] for _ in range(draws)]


@pytest.mark.filterwarnings("ignore")
def test_one_size_agrees_with_quantus_on_the_same_subsets(cnn, x, target, maps, monkeypatch):
    library = pytest.importorskip("quantus")
    draws, size = 20, round(0.1 * x[0].numel())
    picks = iter([row.numpy() for drawn in subsets(x[0].numel(), size, draws) for row in drawn])
    monkeypatch.setattr(np.random, "choice", lambda *args, **kwargs: next(picks))
    metric = library.FaithfulnessCorrelation(
        nr_runs=draws,
        subset_size=size,
        abs=False,
        normalise=False,
        perturb_baseline="black",
        return_aggregate=False,
        disable_warnings=True,
    )
    theirs = metric(
        model=cnn.float(),
        x_batch=x.float().numpy(),
        y_batch=target.numpy(),
        a_batch=maps.float().numpy(),
        softmax=False,
        device="cpu",
    )
    ours = subset_correlation(batch_of(cnn.double(), x, target, maps), shares=[0.1], draws=draws, baseline="black")
    assert ours["score"].tolist() == pytest.approx(theirs, abs=2e-3)  # single precision there


def test_sizes_are_averaged(cnn, x, target, maps):
    """Draws of the second size go on where those of the first ended."""
    n, losses, sums = x[0].numel(), {}, {}
    rng = Rng(0, "subset_correlation", IDS)
    whole = cnn(x).gather(1, target[:, None])[:, 0]
    scores = []
    for size in (round(0.2 * n), round(0.6 * n)):
        losses, sums = [], []
        for _ in range(7):
            taken = rng.integers(1 << 62, n).argsort(dim=1)[:, :size]
            left = x.flatten(1).scatter(1, taken, 0.5).view_as(x)
            losses.append(whole - cnn(left).gather(1, target[:, None])[:, 0])
            sums.append(maps.flatten(1).gather(1, taken).sum(1))
        scores.append([np.corrcoef(torch.stack(sums)[:, i], torch.stack(losses)[:, i])[0, 1] for i in range(4)])
    ours = subset_correlation(batch_of(cnn, x, target, maps), shares=[0.2, 0.6], draws=7, baseline="grey")
    assert ours["score"].tolist() == pytest.approx(np.mean(scores, axis=0))


def test_the_gradient_of_a_linear_network_correlates_perfectly(x, rng):
    weight = rng.normal(6, 3, 16, 16)[0].double()

    class Linear(torch.nn.Module):
        def forward(self, x):
            return (x[:, None] * weight).sum((2, 3, 4))

    target = torch.tensor([0, 1, 2, 3])
    made = subset_correlation(
        batch_of(Linear(), x, target, weight[target] * x), shares=[0.3], draws=9, baseline="black"
    )
    assert made["score"].tolist() == pytest.approx([1] * 4)


def test_what_does_not_vary_does_not_correlate(cnn, x, target):
    made = subset_correlation(
        batch_of(cnn, x, target, torch.full_like(x, 0.1)), shares=[0.3], draws=9, baseline="black"
    )
    assert made["score"].tolist() == [0] * 4
    assert correlation(torch.zeros(1, 3), torch.tensor([[1.0, 2, 3]])).tolist() == [0]


def slow_irof(cnn, image, t, heat, patch):
    """One image, [3, H, W], of a side that patches need not divide."""
    size = image.shape[-1]
    corners = [(i, j) for i in range(0, size, patch) for j in range(0, size, patch)]
    corners.sort(key=lambda c: -heat[:, c[0] : c[0] + patch, c[1] : c[1] + patch].mean().item())
    left, kept = image.clone(), [1.0]
    colour = image.mean((1, 2))[:, None, None]
    whole = cnn(image[None]).softmax(1)[0, t].item()
    for i, j in corners:
        left[:, i : i + patch, j : j + patch] = colour
        kept.append(cnn(left[None]).softmax(1)[0, t].item() / whole)
    return 1 - sum((a + b) / 2 for a, b in zip(kept, kept[1:], strict=False)) / len(corners)


@pytest.mark.parametrize("patch", [4, 5])
def test_irof_agrees_with_a_slow_rewrite(patch, cnn, x, target, maps):
    theirs = [slow_irof(cnn, x[i], target[i], maps[i], patch) for i in range(4)]
    assert irof(batch_of(cnn, x, target, maps), patch=patch)["score"].tolist() == pytest.approx(theirs)
