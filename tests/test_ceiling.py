"""The control that searches for the best order, and shares of what is possible."""

import numpy as np
import pytest
import torch
from jobs import complete, small_job

from bench.config import load
from bench.report import __main__ as report
from bench.report.ceiling import share
from bench.report.exhibits.ceiling import exhibit
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
SMALL = ["model.size=32", "model.resize=36"]


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


@pytest.mark.parametrize(
    ("means", "sign", "expected"),
    [
        ((0.1, 0.1, 0.5), 1, 0),
        ((0.5, 0.1, 0.5), 1, 1),
        ((0.7, 0.1, 0.5), 1, 1.5),
        ((0.2, 0.5, 0.1), -1, 0.75),
        ((1, 2, 2), 1, np.nan),
        ((0.2, 0.1, 0.5), -1, np.nan),  # the search has a worse deletion than chance
    ],
)
def test_a_share_is_0_at_chance_1_at_the_ceiling_and_nothing_without_room(means, sign, expected):
    np.testing.assert_allclose(share(np.tile(means, (14, 1)), sign, None, 50), [expected, np.nan, np.nan], atol=1e-12)


def test_the_interval_of_a_share_holds_the_true_one():
    random, held = np.random.default_rng(5), 0
    for _ in range(200):
        image = random.normal(0, 0.2, (20, 1))
        low, high = share(np.array([0.3, 0.1, 0.6]) + image + random.normal(0, 0.1, (20, 3)), 1, None, 200)[1:]
        held += low <= 0.4 <= high
    assert 0.9 <= held / 200 < 1


def test_it_scores_above_every_method_on_the_tiny_network(tmp_path):
    """By insertion and by GAP."""
    quick = {
        "ceiling": ["method.side=4"],
        "la": ["method.steps=5"],
        "agi": ["method.steps=5"],
        "aii": ["method.steps=5"],
        "attexplore": ["method.copies=4"],
    }
    found = {}
    for name in ["ceiling", *OTHERS]:
        job = open_job(load([
            f"method={name}", *quick.get(name, []), "model=tiny", *SMALL, "metric=[unified]", "metric.unified.step=110",
            "data.limit=2", "compute.device=cpu", "compute.batch_size=2", "compute.workers=0", f"paths.results={tmp_path}",
        ]))  # fmt: skip
        complete(job)
        rows = job.rows("unified").read().to_pandas()
        found[name] = rows["insertion"].mean(), (rows["insertion"] - rows["deletion"]).mean()
    for name in OTHERS:
        assert found[name][0] < found["ceiling"][0] and found[name][1] < found["ceiling"][1], (name, found)


def test_a_table_has_the_shares_and_a_chart_of_them(tmp_path):
    """Of 2 and 4 images: a share is over those that a row and both controls have."""
    found = {}
    for name, limit in {"sm": 2, "random": 4, "ceiling": 4}.items():
        few = ["method.side=4"] if name == "ceiling" else []
        settings = ["metric=[unified]", "metric.unified.step=384", f"data.limit={limit}", "compute.batch_size=4"]
        job = small_job(tmp_path, f"method={name}", *few, *settings)
        complete(job)
        job.record("unified")
        found[name] = job.rows("unified").read().to_pandas().sort_values("image_id")["insertion"][:2].mean()
    document, what = report.make([f"paths.results={tmp_path}", "report.bootstrap=50"])
    expected = (found["sm"] - found["random"]) / (found["ceiling"] - found["random"])
    line = document.numbers.query("row == 'sm' and confidence == 'all' and quantity == 'insertion'").iloc[0]
    assert line["share"] == pytest.approx(expected)
    text = document.save(what.folder)[0].read_text()
    assert "| Method | Insertion ↑ | share | Deletion ↓ |" in text
    row = next(line for line in text.splitlines() if line.startswith("| sm | "))
    assert row.split(" | ")[2] == f"{expected:.2f}"
    assert [row.split(" | ")[2] for row in text.splitlines() if row.startswith("| ceiling |")][0] == "1.00"
    (chart,) = exhibit(what.lines, what.runs, None, what)
    assert len(chart.svg) >= 2 and all("ceiling" in svg for _, svg in chart.svg)
    assert all((tmp_path / "report" / file).stat().st_size > 1000 for file in chart.files)
