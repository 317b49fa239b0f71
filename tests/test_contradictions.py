"""Each number of scripts/measure_contradictions.py, where it is known what it must be, and what is said beside it."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import IDS
from torch import nn

from bench.choices import ROOT
from bench.config import load
from bench.errors import UserError
from bench.images.preprocessing import Preprocessing
from bench.rng import Rng
from bench.running.forecast import Stub
from bench.store.records import load_runs
from bench.store.rows import load_rows
from bench.studies.contradictions import cost, entries, released, tables, words
from bench.studies.contradictions.sight import Sight
from methods.random import random_map
from scripts import measure_contradictions as command

TINY = ["model=tiny", "model.size=32", "data.limit=2", "compute.device=cpu"]


@pytest.fixture
def sight(cnn, x, target):
    return Sight(cnn, x, target, IDS, seed=0)


def table(cells: dict[tuple[str, str, str, str], float]) -> pd.Series:
    index = pd.MultiIndex.from_tuples(cells, names=["model", "method", "metric", "confidence"])
    return pd.Series(list(cells.values()), index=index)


def test_the_share_of_confident_images_follows_from_three_means():
    parts = {"sm": (0.1, 0.5), "ig": (0.2, 0.9)}
    cells = {}
    for method, (low, high) in parts.items():
        for split, value in (("low", low), ("high", high), ("all", 0.3 * low + 0.7 * high)):
            cells["resnet50", method, "unified.insertion", split] = value
    assert tables.high_share(table(cells), "resnet50", "unified.insertion", ("sm", "ig")) == pytest.approx(0.7)


def test_a_mean_outside_its_parts_is_counted():
    cells = {
        (network, "sm", f"unified.{quantity}", split): value
        for network in tables.NETWORKS
        for quantity in ("insertion", "deletion")
        for split, value in (
            ("low", 0.4),
            ("high", 0.1),
            ("all", 0.3),
        )  # deletion may be lower where confidence is high
    }
    assert tables.outside(table(cells), "unified", ("sm",)) == (0, 6)
    cells["vgg16", "sm", "unified.deletion", "all"] = 0.41
    assert tables.outside(table(cells), "unified", ("sm",)) == (1, 6)


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
    assert tables.relative_change(cells, "unified.insertion", ("ig",)) == pytest.approx((0.5 - 0.5) / 2)
    assert tables.relative_change(cells, "unified.insertion", ("ig", "sm")) == pytest.approx((0.5 + 2 - 0.5 - 0.75) / 4)


def test_the_printed_tables_say_what_the_page_says():
    found = {}
    for number, (what, measured, _) in tables.of_the_tables():
        found.setdefault(number, []).append(measured)
        assert "nan" not in measured, what
    assert found[1] == ["0.716 / 0.791 / 0.649", "0.716 / 0.791 / 0.649", "0.923 / 0.825 / 0.780"]
    assert found[2] == ["28 of 48", "0 of 96"]
    assert found[3] == ["24 of 24"]
    assert found[4] == ["42 of 42"]
    assert found[24] == ["+38.21 % / -11.52 %", "+345.56 % / +9.63 %"]


def test_released_eg_explains_four_classes_of_one_image_in_four(cnn, x):
    five = torch.cat([x, x[:1] / 2])
    maps = released.released_eg(Sight(cnn, five, torch.zeros(5, dtype=torch.long), [*IDS, "elk"], seed=0))
    assert [bool((one != 0).any()) for one in maps] == [True, False, False, False, True]


def test_a_map_upside_down_swaps_insertion_and_deletion(sight):
    assert released.swap_error(sight, torch.sin(37 * sight.x)) < 1e-10
    assert released.swap_error(sight, torch.zeros_like(sight.x)) < 1e-10, "ties are parted the same way in both"


def test_agi_leaks_only_from_mates_of_other_classes(sight, cnn, x):
    settings = [f"method.{name}={value}" for name, value in released.SMALL_AGI.items()]
    own = released.agi(sight, **released.SMALL_AGI)
    assert torch.equal(own, sight.map("agi", *settings))
    assert sight.target.unique().numel() > 1
    assert not torch.allclose(released.leaky_agi(sight), own)
    one_class = Sight(cnn, x, torch.full_like(sight.target, 2), IDS, seed=0)
    clean, leaky = released.agi(one_class, **released.SMALL_AGI), released.leaky_agi(one_class)
    torch.testing.assert_close(leaky, len(x) * clean, rtol=1e-8, atol=1e-12)


class Thousand(nn.Module):
    """p_0 is a logistic function of the mean; the other 999 classes share the rest."""

    def forward(self, x):
        z = x.new_zeros(len(x), 1000)
        z[:, 0] = 7 + 4 * (x - 0.5).flatten(1).mean(dim=1)
        return z


def test_stacked_softmaxes_keep_the_direction_and_lose_a_factor_of_a_thousand(x):
    sight = Sight(Thousand(), x, torch.zeros(4, dtype=torch.long), IDS, seed=0)
    found = {
        name: released.against_probability(sight, objective)
        for name, objective in released.stacked(sight.target).items()
    }
    assert all(cosine.numpy() == pytest.approx(1, abs=1e-6) for cosine, _ in found.values())
    assert found["−CE(p)"][1].numpy() == pytest.approx(1, abs=0.01)
    for name in ("softmax(p)", "−CE(softmax(p))"):
        assert 1 / (999 + 2.72) < found[name][1].mean() < 2.72 / (999 + 2.72)


def test_a_third_of_three_independent_rankings_shows_seventy_percent():
    x = torch.zeros(4, 3, 64, 64)
    maps = random_map(nn.Identity(), x, torch.zeros(4, dtype=torch.long), Rng(0, "random", IDS))
    assert released.shown_at_a_third(maps).numpy() == pytest.approx(1 - (2 / 3) ** 3, abs=0.02)
    grey = torch.sin(torch.arange(4 * 64 * 64.0)).view(4, 1, 64, 64).expand(-1, 3, -1, -1)
    assert released.shown_at_a_third(grey).numpy() == pytest.approx(1 / 3, abs=0.001), (
        "channels that agree show a third"
    )


class Colour(nn.Module):
    """Two classes that are equally probable where red is 0.7."""

    def forward(self, x):
        z = 8 * (x[:, 0].mean(dim=(1, 2)) - 0.7)
        return torch.stack([z, -z], dim=1)


def test_ascending_s_confuses_and_descending_it_makes_certain(x):
    sight = Sight(Colour(), x, torch.zeros(4, dtype=torch.long), IDS, seed=0)
    start, up, down = (released.entropies(sight, sign).mean() for sign in (0, 1, -1))
    assert up == pytest.approx(0.693, abs=0.02)
    assert down < start < up


def test_the_attack_of_big_never_reaches_its_box(sight):
    met, length = released.boundaries(sight)
    assert 0 <= met <= len(IDS)
    assert 0 < length <= 50 * 0.001 + 1e-9


def test_agi_that_walks_on_takes_the_first_step_of_agi(sight, monkeypatch):
    """Where one step is taken, walking on and starting over are the same."""
    one = ("method.steps=1", "method.n_classes=3")
    agi = sight.map("agi", *one)
    monkeypatch.setattr(released, "load", lambda overrides: load([*overrides, *one]))
    torch.testing.assert_close(released.agi(sight, base="walk"), agi, rtol=0, atol=0)
    monkeypatch.setattr(released, "load", lambda overrides: load([*overrides, "method.steps=3", "method.n_classes=3"]))
    assert not torch.equal(released.agi(sight, base="walk"), sight.map("agi", "method.steps=3", "method.n_classes=3"))


def test_only_one_direction_of_kl_exceeds_ln_c(x):
    sight = Sight(Thousand(), x, torch.zeros(4, dtype=torch.long), IDS, seed=0)
    sight.network.forward = lambda x: Thousand.forward(sight.network, x) * 3
    one, other, bound = released.both_ways(sight)
    assert bound == pytest.approx(6.9078, abs=1e-4)
    assert one > bound > other


def scores(*differences):
    """Of `random`, and of a map that is ahead of it by these."""
    control = np.linspace(0.1, 0.4, len(differences))
    return {"random": control, "map": control + np.array(differences)}


def said(columns, **given):
    """{what is measured: (what comes out, what that says)}"""
    found = words.compared("INS", columns, **{"classes": None, "draws": 200, **given})
    return {what.removeprefix("INS: "): (measured, says) for what, measured, says in found}


def test_what_does_not_separate_from_random_says_so():
    level = said([scores(0.3, -0.2, 0.1, -0.1)], apart=[("map", "random")])
    assert level["random"] == ("0.250 ± 0.205", "the control")
    assert level["map"][1].endswith(": does not separate from random")
    assert level["map less random"][1] == "cannot tell"
    above = said([scores(0.30, 0.31, 0.29, 0.30)], apart=[("random", "map")])
    assert above["map"][1] == "+0.300 [0.287, 0.313]: above random"
    assert above["random less map"] == ("-0.300 [-0.313, -0.287]", "below")
    assert said([scores(0.0, 0.0, 0.0, 0.0)])["map"][1] == "+0.000 [0.000, 0.000]: equals random"


def test_differences_are_paired_over_the_images():
    """Two intervals of means that overlap by far, of a difference that is nearly the same on every image."""
    wide = said([scores(0.01, 0.011, 0.009, 0.010)])
    assert wide["map"][0] == "0.260 ± 0.205" and wide["map"][1].endswith("above random")


def test_both_quantities_are_told_in_their_order():
    found = said([scores(0.3, 0.3, 0.31, 0.3), scores(-0.3, -0.3, -0.31, -0.3)])
    assert re.findall("above|below", found["map"][1]) == ["above", "below"]


def test_images_of_one_class_are_one_unit():
    differences = (0.1, 0.1, 0.1, 0.1, -0.05, -0.05, -0.05, -0.05, 0.2, 0.2, 0.2, 0.2)
    assert said([scores(*differences)])["map"][1].endswith(": above random")
    classes = np.repeat([3, 5, 9], 4)
    assert said([scores(*differences)], classes=classes)["map"][1].endswith(": does not separate from random")


def test_of_one_image_nothing_is_told():
    assert said([scores(0.5)])["map"] == ("0.600", "+0.500: does not separate from random")


def test_a_sight_takes_its_units_from_the_labels(cnn, x, target):
    classes = Sight(cnn, x, target, IDS, seed=0, labels=[7, 7, 9, 9]).classes
    assert list(classes) == [7, 7, 9, 9]
    assert Sight(cnn, x, target, IDS, seed=0, labels=[7, None, 9, 9]).classes is None
    assert Sight(cnn, x, target, IDS, seed=0).classes is None


def test_games_have_a_control_and_as_many_frames_as_are_said(cnn, x, target):
    sight = Sight(cnn, x, target, IDS, seed=0, steps=8)
    found = list(sight.games({"centre": sight.map("center")}, [("centre", "random")]))
    assert [what for what, _, _ in found] == [
        f"U-INS / U-DEL: {name}" for name in ("random", "centre", "centre less random")
    ]
    control = sight.control("element")
    assert control["insertion_curve"].shape == (len(IDS), 8 + 1)
    assert found[0].measured.startswith(f"{control['insertion'].mean():.3f} ± ")
    assert found[0].measured.split(" / ")[1].startswith(f"{control['deletion'].mean():.3f} ± ")


def test_passes_are_counted_for_an_image_and_once():
    stub = Stub(Preprocessing(32, 32), 10)
    assert cost.passes([18], 4, stub) == (cost.Passes(1 + 0), cost.Passes())
    steps = 4
    games = 2 * (steps - 1) + 2  # both ways, and the two ends that they share
    eight = cost.passes([8], steps, stub)
    assert eight == (cost.Passes(1 + 3 * games + 2, 2), cost.Passes())  # random, sm, sm_signed
    _, once = cost.passes([21], steps, stub)
    assert once == cost.Passes(8 * (1 + 61 + 61), 8 * 120)


def test_entries_and_frames_are_chosen_on_the_command_line():
    assert command.entries(["model=tiny", "entries=12,9"]) == ({9, 12}, ["model=tiny"])
    assert command.entries([])[0] == {*command.MEASURED}
    with pytest.raises(UserError, match="entries=5: nothing is measured of it; expected some of 1, 2, 3"):
        command.entries(["entries=9,5"])
    assert command.frames(["steps=14", "model=tiny"]) == (14, ["model=tiny"])
    for wrong in ("0", "few", "1,2"):
        with pytest.raises(UserError, match=f"steps={wrong}: expected a number of frames"):
            command.frames([f"steps={wrong}"])


def lines(printed):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()]


def test_the_command_says_its_cost_then_the_chosen_entries(tmp_path, capsys):
    command.main([*TINY, "entries=3,8", "steps=4", f"paths.results={tmp_path}"])
    printed, first = capsys.readouterr()
    assert re.search(r"^2 images, each 27 forward and 2 backward passes at most: about .* here", first, re.M)
    head, _, *found = lines(printed)
    assert head[1] == "tiny, 2 images of synthetic, games of 4 frames"
    assert [line[0] for line in found] == ["3", "8", "8", "8", "8"]
    assert found[1][1] == "U-INS / U-DEL: random" and found[1][3] == "the control"


def test_printed_tables_alone_need_no_network(capsys, monkeypatch):
    monkeypatch.setattr(command, "open_job", lambda _: pytest.fail("opened a network"))
    command.main(["entries=3,24"])
    printed, first = capsys.readouterr()
    assert not first and [line[0] for line in lines(printed)[2:]] == ["3", "24", "24"]


def test_every_finding_has_an_entry_in_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(entries, "DRAWS", 1)
    monkeypatch.setattr(command.cost, "said", lambda *_: "")
    for number in entries.VARIANTS.keys() - {16}:
        monkeypatch.setitem(entries.OF_A_NETWORK, number, entries.variants((("sm", "raster"),)))
    monkeypatch.setitem(entries.VARIANTS, 16, (("sm", "raster"),))
    command.main([*TINY, "steps=2", f"paths.results={tmp_path}"])
    numbers = {int(line[0]) for line in lines(capsys.readouterr().out)[2:]}
    page = (ROOT / "docs" / "contradictions.md").read_text()
    anchors = [int(n) for n in re.findall(r'<a id="c(\d+)"></a>', page)]
    assert anchors == list(range(1, len(anchors) + 1))
    measured = {
        int(n) for n, text in re.findall(r'<a id="c(\d+)"></a>(.*?)(?=<a id|\Z)', page, re.S) if "**Here" in text
    }
    assert measured == numbers == {*command.MEASURED}


@pytest.mark.parametrize(
    ("one", "other", "insertion", "deletion"),
    [
        ("aii", "agi", "cannot tell", "above"),
        ("aii_algorithm1", "aii", "below", "above"),
        ("la", "la_paper", "cannot tell", "cannot tell"),
        ("la", "la_algorithm1", "above", "below"),
    ],
)
def test_the_rows_of_the_reference_say_what_the_page_says_of_two_methods(one, other, insertion, deletion):
    """Over the images that both have."""
    rows = load_rows(ROOT / "results" / "reference")
    of_lite0 = (rows["data"] == "la_release") & (rows["model"] == "efficientnet_lite0") & (rows["metric"] == "unified")
    first = [
        run_id for run_id, run in load_runs(ROOT / "results" / "reference").items() if run["identity"]["seed"] == 0
    ]
    rows = rows[(rows["status"] == "ok") & of_lite0 & rows["run_id"].isin(first)].set_index("image_id")
    of = {name: rows[rows["method"] == name] for name in (one, other)}
    both = sorted(set(of[one].index) & set(of[other].index))
    columns = [{name: part.loc[both, q].to_numpy() for name, part in of.items()} for q in ("insertion", "deletion")]
    pair = f"{one} less {other}"
    measured, says = said(columns, apart=[(one, other)], classes=of[one].loc[both, "label"].to_numpy())[pair]
    page = " ".join((ROOT / "docs" / "contradictions.md").read_text().split())
    assert says == f"{insertion} / {deletion}"
    assert f"`{one}` less `{other}` is {measured.replace('-', '−')}" in page
    assert re.search(rf"{len(both)} (images of `results/reference`|that `{one}` has too)", page)
