"""LA's Figure 2: paths that a linear network lets one walk by hand, thresholds that can be counted, five files."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import IDS
from torch import nn

from bench.errors import UserError
from bench.rng import Rng
from bench.studies import la_fig2


class Bright(nn.Module):
    """Class 0 likes bright pixels, class 1 dark ones; class 2 never has a chance."""

    def forward(self, x):
        z = (x - 0.5).flatten(1).sum(dim=1)
        return torch.stack([z, -z, torch.full_like(z, -99)], dim=1)


@pytest.fixture
def grey():
    """Four images, a little brighter than the tie."""
    return torch.full((4, 3, 8, 8), 0.5015, dtype=torch.float64)


def probabilities(x, names, steps=3):
    target = torch.zeros(4, dtype=torch.long)
    return la_fig2.readings(Bright(), x, target, Rng(0, "test", IDS), names=names, steps=steps)


def test_mfaba_walks_on_from_step_to_step(grey):
    p, lost, *_ = probabilities(grey, ("mfaba",))[0, 0].T
    z = 192 * (0.0015 - 0.001 * torch.arange(4))
    torch.testing.assert_close(p, torch.sigmoid(2 * z).double(), rtol=1e-5, atol=0)
    assert lost.tolist() == [0, 0, 1, 1]


def test_agi_and_la_start_each_step_from_the_clean_image(grey):
    agi, la = probabilities(grey, ("agi", "la"))[0, :, :, 0]
    for p, step in ((agi, 0.05), (la, 0.5015 / 20)):
        torch.testing.assert_close(p[1:], torch.sigmoid(torch.tensor(2 * 192 * (0.0015 - step))).double().expand(3))


def test_random_signs_go_nowhere_and_differ_by_image_and_step(grey):
    p = probabilities(grey, ("random",), steps=9)[:, 0, 1:, 0]
    assert all(len(set(line)) > 1 for line in [*p.tolist(), *p.T.tolist()])
    z = p.logit() / 2 - 192 * 0.0015
    assert z.abs().max() < 5 * 0.05 * 192**0.5  # a sum of 192 signs


def test_readings_are_those_of_the_softmax(cnn, x, target, rng):
    read = la_fig2.readings(cnn, x, target, rng, names=("la",), steps=1)[:, 0, 0]
    logits = cnn(x)
    p = logits.softmax(dim=1)
    expected = torch.stack([p.amax(1), torch.zeros(4), p.amax(1), logits.exp().sum(1).log()], dim=1)
    torch.testing.assert_close(read, expected.double())


def test_at_most_one_clean_image_in_twenty_is_out_of_distribution():
    scores = np.arange(40.0)[:, None, None] + np.array([0, -100, 100])
    assert la_fig2.out_of_distribution(scores)[:, 0].mean(axis=0).tolist() == [0.025, 1, 0]
    assert la_fig2.out_of_distribution(scores[:5])[:, 0].mean(axis=0).tolist() == [0, 1, 0]


def test_a_class_that_comes_back_has_been_lost_all_the_same():
    lost = np.array([[0, 1, 0, 0], [0, 0, 0, 0]])
    assert la_fig2.said("agi", lost) == (
        "agi: 50% of the images have lost their class at least once by step 2, 50% by the last; half of them by step 1."
    )


def test_the_command_writes_table_and_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(la_fig2, "STEPS", 3)
    monkeypatch.setattr(la_fig2, "SHOWN", (1, 3))
    small = ["model.size=32", "data.limit=3", "compute.device=cpu", "compute.batch_size=2", "report.bootstrap=50"]
    la_fig2.main(["method=la,random", *small, f"paths.results={tmp_path}"])
    found = {file.suffix: file for file in (tmp_path / "report").iterdir()}
    assert set(found) == {".md", ".csv", ".tex", ".json", ".png", ".pdf"}
    numbers = pd.read_csv(found[".csv"])
    assert len(numbers) == 2 * 4 * 4 and (numbers["n"] == 3).all()  # paths, quantities, steps; no padding counted
    text = found[".md"].read_text()
    assert "| random, k = 3 |" in text
    assert "python -m bench.studies.la_fig2 method=la,random model.size=32" in text
    assert str(tmp_path) not in text


def test_another_path_is_refused():
    with pytest.raises(UserError, match="ig: la_fig2 has the paths"):
        la_fig2.make(["method=ig"])
