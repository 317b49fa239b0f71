"""The control that searches for the best order, and shares of what is possible."""

import numpy as np
import pytest
import torch
from jobs import complete

from bench.config import load
from bench.report.exhibits.ceiling import share
from bench.running.job import open_job
from methods.ceiling import ceiling_map, passes

OTHERS = [
    "la",
    "agi",
    "attexplore",
    "aii",
    "mfaba",
    "big",
    "ig",
    "fast_ig",
    "sg",
    "guided_ig",
    "deeplift",
    "sm",
    "gradcam",
]


def slow(cnn, x, target, side, gap):
    """One image, [3, H, W]: the value of each patch."""
    size, value = x.shape[1] // side, torch.zeros(side, side)
    for left in range(side * side, 0, -1):
        best = None
        for i in range(side):
            for j in range(side):
                if value[i, j]:
                    continue
                tried = value > 0
                tried[i, j] = True
                gone = tried.repeat_interleave(size, 0).repeat_interleave(size, 1)
                score = cnn((x * gone)[None]).softmax(dim=1)[0, target]
                if gap:
                    score = score - cnn((x * ~gone)[None]).softmax(dim=1)[0, target]
                if best is None or score > best[0]:
                    best = score, i, j
        value[best[1], best[2]] = left
    return value.repeat_interleave(size, 0).repeat_interleave(size, 1)


def area(cnn, x, target, order, gap):
    """One image: the objective's sum as sixteenths of the pixels go."""
    places, total = sorted(range(order.numel()), key=lambda k: (-order.flatten()[k], k)), 0
    for k in range(1, 16):
        gone = torch.zeros(order.numel(), dtype=torch.bool)
        gone[places[: k * order.numel() // 16]] = True
        gone = gone.view_as(order)
        total += cnn((x * gone)[None]).softmax(dim=1)[0, target]
        total -= cnn((x * ~gone)[None]).softmax(dim=1)[0, target] if gap else 0
    return float(total)


@pytest.mark.parametrize("optimises", ["insertion", "gap"])
def test_it_is_the_slow_search_and_costs_what_it_says(cnn, x, target, rng, optimises):
    before = cnn.forward_passes
    found = ceiling_map(cnn, x, target, rng, side=4, optimises=optimises)
    assert (cnn.forward_passes - before) / len(x) == passes(cnn, side=4, optimises=optimises)[0]
    for i in range(len(x)):
        searches = [slow(cnn, x[i], target[i], side, optimises == "gap") for side in (4, 2)]
        areas = [area(cnn, x[i], target[i], order, optimises == "gap") for order in searches]
        expected = searches[areas.index(max(areas))]
        assert torch.equal(found[i], expected.to(x.dtype).expand(3, -1, -1))


def test_a_share_is_0_at_chance_1_at_the_ceiling_and_nothing_without_room():
    scores = np.array([0.1, 0.5, 0.3, 0.7])
    np.testing.assert_allclose(share(scores, np.full(4, 0.1), np.full(4, 0.5)), [0, 1, 0.5, 1.5])
    np.testing.assert_allclose(share(scores, np.full(4, 0.5), np.full(4, 0.1)), [1, 0, 0.5, -0.5])  # lower is better
    assert np.isnan(share(scores, np.full(4, 0.5), np.full(4, 0.5))).all()


def test_it_scores_above_every_method_on_the_tiny_network(tmp_path):
    """By insertion and by GAP."""
    quick = {
        "la": ["method.steps=5"],
        "agi": ["method.steps=5"],
        "aii": ["method.steps=5"],
        "attexplore": ["method.copies=4"],
    }
    found = {}
    for name in ["ceiling", *OTHERS]:
        job = open_job(load([
            f"method={name}", *quick.get(name, []), "model=tiny", "metric=[unified]", "metric.unified.step=439",
            "data.limit=4", "compute.device=cpu", "compute.batch_size=4", "compute.workers=0", f"paths.results={tmp_path}",
        ]))  # fmt: skip
        complete(job)
        rows = job.rows("unified").read().to_pandas()
        found[name] = rows["insertion"].mean(), (rows["insertion"] - rows["deletion"]).mean()
    for name in OTHERS:
        assert found[name][0] < found["ceiling"][0] and found[name][1] < found["ceiling"][1], (name, found)
