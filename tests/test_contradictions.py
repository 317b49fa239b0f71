"""Each number of scripts/measure_contradictions.py, where it is known what it must be."""

import re

import pandas as pd
import pytest
import torch
from conftest import IDS
from torch import nn

from bench.config import ROOT, load
from bench.running.job import open_job
from methods.random import random_map
from scripts import measure_contradictions as c


@pytest.fixture
def sight(cnn, x, target):
    return c.Sight(cnn, x, target, IDS, seed=0)


def table(cells: dict[tuple[str, str, str, str], float]) -> pd.Series:
    index = pd.MultiIndex.from_tuples(cells, names=["model", "method", "metric", "confidence"])
    return pd.Series(list(cells.values()), index=index)


def test_the_share_of_confident_images_follows_from_three_means():
    parts = {"sm": (0.1, 0.5), "ig": (0.2, 0.9)}
    cells = {}
    for method, (low, high) in parts.items():
        for split, value in (("low", low), ("high", high), ("all", 0.3 * low + 0.7 * high)):
            cells["resnet50", method, "unified.insertion", split] = value
    assert c.high_share(table(cells), "resnet50", "unified.insertion", ("sm", "ig")) == pytest.approx(0.7)


def test_a_mean_outside_its_parts_is_counted():
    cells = {
        (network, "sm", f"unified.{quantity}", split): value
        for network in c.NETWORKS
        for quantity in ("insertion", "deletion")
        for split, value in (
            ("low", 0.4),
            ("high", 0.1),
            ("all", 0.3),
        )  # deletion may be lower where confidence is high
    }
    assert c.outside(table(cells), "unified", ("sm",)) == (0, 6)
    cells["vgg16", "sm", "unified.deletion", "all"] = 0.41
    assert c.outside(table(cells), "unified", ("sm",)) == (1, 6)


def test_relative_changes_are_averaged_over_networks_and_methods():
    values = {
        ("a", "la"): 3.0,
        ("a", "ig"): 2.0,
        ("a", "sm"): 1.0,
        ("b", "la"): 1.0,
        ("b", "ig"): 2.0,
        ("b", "sm"): 4.0,
    }
    cells = table({(model, method, "unified.insertion", "all"): v for (model, method), v in values.items()})
    assert c.relative_change(cells, "unified.insertion", ("ig",)) == pytest.approx((0.5 - 0.5) / 2)
    assert c.relative_change(cells, "unified.insertion", ("ig", "sm")) == pytest.approx((0.5 + 2 - 0.5 - 0.75) / 4)


def test_the_printed_tables_say_what_the_page_says():
    found = {}
    for number, what, measured in c.of_the_tables():
        found.setdefault(number, []).append(measured)
        assert "nan" not in measured, what
    assert found[1] == ["0.716 / 0.791 / 0.649", "0.716 / 0.791 / 0.649", "0.923 / 0.825 / 0.780"]
    assert found[2] == ["28 of 48", "0 of 96"]
    assert found[3] == ["24 of 24"]
    assert found[4] == ["42 of 42"]
    assert found[24] == ["+38.21 % / -11.52 %", "+345.56 % / +9.63 %"]


def test_released_eg_explains_four_classes_of_one_image_in_four(cnn, x):
    five = torch.cat([x, x[:1] / 2])
    maps = c.released_eg(c.Sight(cnn, five, torch.zeros(5, dtype=torch.long), [*IDS, "elk"], seed=0))
    assert [bool((one != 0).any()) for one in maps] == [True, False, False, False, True]


def test_a_map_upside_down_swaps_insertion_and_deletion(sight):
    assert c.swap_error(sight, torch.sin(37 * sight.x)) < 1e-10
    assert c.swap_error(sight, torch.zeros_like(sight.x)) < 1e-10, "ties are parted the same way in both"


def test_agi_leaks_only_from_mates_of_other_classes(sight, cnn, x):
    settings = [f"method.{name}={value}" for name, value in c.SMALL_AGI.items()]
    own = c.agi(sight, **c.SMALL_AGI)
    assert torch.equal(own, sight.map("agi", *settings))
    assert sight.target.unique().numel() > 1
    assert not torch.allclose(c.leaky_agi(sight), own)
    one_class = c.Sight(cnn, x, torch.full_like(sight.target, 2), IDS, seed=0)
    clean, leaky = c.agi(one_class, **c.SMALL_AGI), c.leaky_agi(one_class)
    torch.testing.assert_close(leaky, len(x) * clean, rtol=1e-8, atol=1e-12)


class Thousand(nn.Module):
    """p_0 is a logistic function of the mean; the other 999 classes share the rest."""

    def forward(self, x):
        z = x.new_zeros(len(x), 1000)
        z[:, 0] = 7 + 4 * (x - 0.5).flatten(1).mean(dim=1)
        return z


def test_stacked_softmaxes_keep_the_direction_and_lose_a_factor_of_a_thousand(x):
    sight = c.Sight(Thousand(), x, torch.zeros(4, dtype=torch.long), IDS, seed=0)
    found = {name: c.against_probability(sight, objective) for name, objective in c.stacked(sight.target).items()}
    assert all(cosine == pytest.approx(1, abs=1e-6) for cosine, _ in found.values())
    assert found["−CE(p)"][1] == pytest.approx(1, abs=0.01)
    for name in ("softmax(p)", "−CE(softmax(p))"):
        assert 1 / (999 + 2.72) < found[name][1] < 2.72 / (999 + 2.72)


def test_a_third_of_three_independent_rankings_shows_seventy_percent():
    x = torch.zeros(4, 3, 64, 64)
    maps = random_map(nn.Identity(), x, torch.zeros(4, dtype=torch.long), c.Rng(0, "random", IDS))
    assert c.shown_at_a_third(maps) == pytest.approx(1 - (2 / 3) ** 3, abs=0.01)
    grey = torch.sin(torch.arange(4 * 64 * 64.0)).view(4, 1, 64, 64).expand(-1, 3, -1, -1)
    assert c.shown_at_a_third(grey) == pytest.approx(1 / 3, abs=0.001), "channels that agree show a third"


class Colour(nn.Module):
    """Two classes that are equally probable where red is 0.7."""

    def forward(self, x):
        z = 8 * (x[:, 0].mean(dim=(1, 2)) - 0.7)
        return torch.stack([z, -z], dim=1)


def test_ascending_s_confuses_and_descending_it_makes_certain(x):
    sight = c.Sight(Colour(), x, torch.zeros(4, dtype=torch.long), IDS, seed=0)
    start, up, down = (c.mean_entropy(sight, sign) for sign in (0, 1, -1))
    assert up == pytest.approx(0.693, abs=0.02)
    assert down < start < up


def test_the_attack_of_big_never_reaches_its_box(sight):
    met, length = c.boundaries(sight)
    assert 0 <= met <= 1
    assert 0 < length <= 50 * 0.001 + 1e-9


def test_agi_that_walks_on_takes_the_first_step_of_agi(sight, monkeypatch):
    """Where one step is taken, walking on and starting over are the same."""
    one = ("method.steps=1", "method.n_classes=3")
    agi = sight.map("agi", *one)
    monkeypatch.setattr(c, "load", lambda overrides: load([*overrides, *one]))
    torch.testing.assert_close(c.agi(sight, base="walk"), agi, rtol=0, atol=0)
    monkeypatch.setattr(c, "load", lambda overrides: load([*overrides, "method.steps=3", "method.n_classes=3"]))
    assert not torch.equal(c.agi(sight, base="walk"), sight.map("agi", "method.steps=3", "method.n_classes=3"))


def test_only_one_direction_of_kl_exceeds_ln_c(x):
    sight = c.Sight(Thousand(), x, torch.zeros(4, dtype=torch.long), IDS, seed=0)
    sight.network.forward = lambda x: Thousand.forward(sight.network, x) * 3
    one, other, bound = c.both_ways(sight)
    assert bound == pytest.approx(6.9078, abs=1e-4)
    assert one > bound > other


def test_every_finding_has_an_entry_in_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(c, "STEPS", 2)
    monkeypatch.setattr(c, "DRAWS", 1)
    monkeypatch.setattr(c, "VARIANTS", dict.fromkeys(c.VARIANTS, ("sm",)))
    small = ["model.size=32", "data.limit=2", "compute.device=cpu", "method=sm", "metric=[infidelity]"]
    job = open_job(load([*small, f"paths.results={tmp_path}"]))
    numbers = {number for number, _, _ in [*c.of_the_tables(), *c.of_the_network(job)]}
    page = (ROOT / "docs" / "contradictions.md").read_text()
    anchors = [int(n) for n in re.findall(r'<a id="c(\d+)"></a>', page)]
    assert anchors == list(range(1, len(anchors) + 1))
    measured = {
        int(n) for n, text in re.findall(r'<a id="c(\d+)"></a>(.*?)(?=<a id|\Z)', page, re.S) if "**Here" in text
    }
    assert measured == numbers
