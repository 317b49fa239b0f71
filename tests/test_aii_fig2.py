"""AII's Figure 2: what the patch means to which network, and how much of a map lies on it."""

import sys

import pandas as pd
import pytest
import torch

from bench.errors import UserError
from bench.studies import aii_fig2 as a
from bench.studies import digits

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def parts():
    return digits.digits(seed=0)


@pytest.fixture(scope="module")
def networks(parts):
    return {kind: digits.trained(kind, parts[0], seed=0) for kind in digits.KINDS}


def test_half_of_the_images_carry_the_patch_and_only_they_have_anything_in_the_corner(parts):
    known, held_out = parts
    assert (len(known.x), len(held_out.x)) == (1297, 500)
    assert known.patched.double().mean().item() == pytest.approx(0.5, abs=0.05)
    corner = known.x[:, :, :8, :8]
    assert (corner[~known.patched] == 0).all()
    assert (corner[known.patched].mean(dim=(1, 2, 3)) == 0.5).all()
    assert (known.x[:, :, :8, 8:] == 0).all() and (known.x[:, :, 8:, :8] == 0).all()  # no digit near it
    assert 0.9 < known.x[:, :, 8:, 8:].amax() <= 1


def test_the_patch_can_be_put_on_and_taken_off(parts):
    known, _ = parts
    again = known.with_patch(False).with_patch(True)
    assert again.patched.all()
    assert torch.equal(again.x[known.patched], known.x[known.patched])
    assert not torch.equal(again.x[~known.patched], known.x[~known.patched])


def test_the_patch_names_one_of_the_pair_and_nothing_else(parts):
    known, _ = parts
    assert torch.equal(known.label("unused"), known.digit)
    paired, label = torch.isin(known.digit, torch.tensor([1, 7])), known.label("used")
    assert torch.equal(label[~paired], known.digit[~paired])
    assert (label[paired & known.patched] == 1).all() and (label[paired & ~known.patched] == 7).all()


def test_one_network_uses_the_patch_and_the_other_does_not(parts, networks):
    pair = torch.isin(parts[1].digit, torch.tensor([1, 7]))
    pictures = parts[1].where(pair).with_patch(True)
    used, unused = (a.use(kind, networks[kind], parts[1], pictures) for kind in ("used", "unused"))
    assert min(used["with"], used["without"], unused["with"], unused["without"]) > 0.95
    assert used["changed"] > 0.95 and unused["changed"] < 0.02


def test_share_on_the_patch_counts_both_signs_and_a_map_of_zeros_has_none():
    maps = torch.zeros(3, 3, 32, 32)
    maps[0, 0, 7, 7], maps[0, 1, 8, 8], maps[0, 2, 0, 8] = -1, 2, -1
    maps[1] = 1
    share = a.on_patch(maps)
    assert share[:2].tolist() == [0.25, a.CHANCE] and share[2].isnan()


def test_other_networks_and_images_are_ignored_aloud(capsys):
    wanted = ["data.limit=2", "method=sm", "run.seed=1"]
    given = ["model=tiny", "+data.root=x", "data=folder", "model.size=32", *wanted]
    assert digits.own(given, "aii_fig2") == wanted
    assert (
        "aii_fig2 trains its own networks on digits; ignored: model=tiny +data.root=x data=folder model.size=32"
        in capsys.readouterr().err
    )


def test_differences_are_taken_picture_by_picture():
    used = pd.DataFrame({"id": ["p", "q"], "method": "sm", "share": [0.5, 0.9]})
    unused = pd.DataFrame({"id": ["q", "p"], "method": "sm", "share": [0.5, 0.1]})
    line = a.compared({"used": used, "unused": unused}, draws=100).set_index("patch").loc["difference"]
    assert line["mean"] == line["ci_low"] == line["ci_high"] == pytest.approx(0.4)


def test_the_command_writes_table_and_figure(tmp_path, monkeypatch, networks):
    monkeypatch.setattr(digits, "trained", lambda kind, known, seed: networks[kind])
    small = ["data.limit=3", "compute.device=cpu", "compute.batch_size=2", "report.bootstrap=50"]
    a.main(["method=sm,random", "model=tiny", *small, f"paths.results={tmp_path}"])
    found = {file.suffix: file for file in (tmp_path / "report").iterdir()}
    assert set(found) == {".md", ".csv", ".tex", ".json", ".png", ".pdf"}
    numbers = pd.read_csv(found[".csv"]).set_index(["method", "patch"])
    assert len(numbers) == 6 and (numbers["n"] == 3).all()
    assert numbers["mean"]["sm", "difference"] > 0.02
    assert numbers["mean"]["random", "used"] == pytest.approx(a.CHANCE, abs=0.02)
    assert "| sm |" in found[".md"].read_text() and "|A|" not in found[".md"].read_text().split("## ")[1]


def test_without_scikit_learn_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UserError, match=r"heatproof\[digits\]"):
        digits.digits(seed=0)
