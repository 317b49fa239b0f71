"""Cascading randomisation: who passes, who fails, and what is scrambled."""

import subprocess
import sys

import pandas as pd
import pytest
import scipy.stats
import torch
from conftest import Cnn, network
from torch import nn

from bench import sanity
from bench.choices import ROOT
from bench.config import load
from bench.running.job import open_job


def verdict(tmp_path, method, *settings):
    choice = [f"method={method}", *settings, "model=tiny", "data=synthetic", "data.limit=4", "compute.device=cpu"]
    table = pd.DataFrame(sanity.compare(open_job(load([*choice, f"paths.results={tmp_path}"]))))
    assert len(table) == 4 * len(sanity.STAGES)
    return sanity.verdict(table)


@pytest.mark.parametrize(("method", "settings"), [("sm", []), ("ig", ["method.steps=6"])])
def test_methods_that_look_at_the_network_pass(tmp_path, method, settings):
    assert verdict(tmp_path, method, *settings)[1]


@pytest.mark.parametrize("method", ["edges", "random"])
def test_maps_that_need_no_network_fail(tmp_path, method):
    text, passed = verdict(tmp_path, method)
    assert not passed
    assert "last layer scrambled 1.00" in text, "a method that draws must be dealt the same numbers each time"


def test_the_command_says_so_and_exits_with_1(tmp_path):
    command = [sys.executable, "-m", "bench.sanity", "method=edges", "data.limit=1", f"paths.results={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().endswith("error: edges fails: its maps hardly need the trained network.")
    rows = pd.read_csv(tmp_path / "sanity" / "edges-tiny-synthetic.csv")
    assert (rows["correlation"] > 0.999).all()


class Stacked(nn.Module):
    """Two layers of unlike weights, a normalisation between them."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.norm(self.first(x)).mean(dim=(2, 3)))


def test_scrambling_goes_downwards_and_keeps_the_values():
    original = network(Stacked())
    before = {name: value.clone() for name, value in original.net.state_dict().items()}
    images = [torch.linspace(0, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16).sin()]
    changed = []
    for share in (0.0, 0.67, 1.0):
        state = sanity.scrambled(original, share, 0, images).net.state_dict()
        changed.append({name for name in ("first.weight", "head.weight") if not torch.equal(state[name], before[name])})
        for name in ("first.weight", "head.weight", "head.bias"):
            assert torch.equal(state[name].flatten().sort().values, before[name].flatten().sort().values)
        again = sanity.scrambled(original, share, 0, images).net.state_dict()
        assert all(torch.equal(state[name], again[name]) for name in state), "scrambled from the seed"
    assert changed == [{"head.weight"}, {"head.weight"}, {"head.weight", "first.weight"}]
    assert all(torch.equal(value, before[name]) for name, value in original.net.state_dict().items())


def test_batch_norm_is_told_what_the_scrambled_layers_below_it_now_say():
    images = [torch.linspace(0, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16).sin()]
    scrambled = sanity.scrambled(network(Stacked()), 1.0, 0, images)
    assert not any(module.training for module in scrambled.modules())
    below = scrambled.net.first((images[0] - scrambled.mean) / scrambled.std)
    torch.testing.assert_close(scrambled.net.norm.running_mean, below.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(scrambled.net.norm.running_var, below.var(dim=(0, 2, 3)))


def test_rank_correlation_is_spearmans():
    a = torch.sin(torch.arange(2 * 3 * 25) * 7.3).view(2, 3, 5, 5).mul(8).round()  # ties
    b = torch.cos(torch.arange(2 * 3 * 25) * 2.1).view(2, 3, 5, 5) + a
    expected = [
        scipy.stats.spearmanr(one.flatten(), other.flatten()).statistic for one, other in zip(a, b, strict=True)
    ]
    torch.testing.assert_close(sanity.rank_correlation(a, b), torch.tensor(expected, dtype=torch.float64))
    assert sanity.rank_correlation(a, torch.ones_like(a)).tolist() == [0.0, 0.0]


def test_networks_without_batch_norm_need_no_settling():
    state = sanity.scrambled(network(Cnn()), 1.0, 0, images=[]).net.state_dict()
    assert all(value.isfinite().all() for value in state.values())
