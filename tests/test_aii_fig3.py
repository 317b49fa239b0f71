"""AII's Figure 3: ten maps along one path, how alike they are, and what that says of the claim."""

import itertools
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from bench.claims import identities
from bench.claims.predicates import CANNOT_TELL, FAILS, HOLDS
from bench.errors import UserError
from bench.rng import Rng
from bench.studies import aii_fig3 as a
from bench.studies import digits
from methods.aii import intrinsic_information
from methods.parts.gradient import log_probability, probability

random = np.random.default_rng(5)
PATH = {"classes": [0, 3, 7], "n_classes": 3, "epsilon": 0.05, "steps": 4, "base": "restart", "stop": True, "sign": 1}
SMALL = ["compute.device=cpu", "compute.batch_size=3", "report.bootstrap=50"]


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("sklearn")
    return digits.trained("unused", digits.digits(seed=0)[0], seed=0)


@pytest.fixture(scope="module")
def net():
    """Untrained: a path in it has steps that stop and steps that do not."""
    torch.manual_seed(0)
    return digits.SmallNet().double().requires_grad_(False)


@pytest.fixture(scope="module")
def x():
    return Rng(0, "fig3", ["p", "q"]).uniform(3, 32, 32).double()


def maps(net, x, of, c, target=(7, 2)):
    return a.accumulating(net, x, torch.tensor(target), Rng(0, "aii", ["p", "q"]), of=of, c=c, post=(), **PATH).detach()


WALKED = [
    (probability, 5, lambda p: p[5]),
    (probability, 7, lambda p: p[7]),
    (log_probability, 5, lambda p: p[5].log()),
]


@pytest.mark.parametrize(("of", "c", "slow"), WALKED)
def test_maps_are_those_of_a_slow_walk_along_the_path_of_the_target(net, x, of, c, slow):
    total = torch.zeros_like(x[0])
    for t in (0, 3, 8):  # 8 is in the place of 7, the class that is explained
        point = x[0]
        for _ in range(PATH["steps"]):
            here = point.clone().requires_grad_()
            p = net(here[None]).softmax(dim=1)[0]
            way, rise = (torch.autograd.grad(value, here, retain_graph=True)[0] for value in (p[t], slow(p)))
            if p.argmax() == t:
                break
            point = (x[0] + PATH["epsilon"] * way.sign()).clamp(0, 1)
            total += rise * (point - x[0])
    torch.testing.assert_close(maps(net, x, of, c)[0], total)
    assert total.abs().max() > 0


def test_the_ten_maps_lie_along_one_path(net, x):
    """Probabilities add up to 1 and log p to S only if no class has a path of its own."""
    of_p = torch.stack([maps(net, x, probability, c) for c in range(10)])
    assert of_p.sum(dim=0).abs().max() < 1e-12 * of_p.abs().max()
    of_log = sum(maps(net, x, log_probability, c) for c in range(10))
    own = intrinsic_information(net, x, torch.tensor([7, 2]), Rng(0, "aii", ["p", "q"]), **PATH)
    torch.testing.assert_close(of_log, own)


def test_the_readings_add_channels_with_and_without_their_signs():
    one = torch.tensor([1.0, -3.0, 0.5])[:, None, None].expand(3, 2, 2)
    assert [reading(one)[0, 0].item() for reading in a.READINGS.values()] == [-1.5, 4.5]


def test_correlations_are_spearmans_over_all_pairs():
    values = random.integers(0, 6, size=(5, 4, 30)).astype(float)  # with ties
    ranks = a.ranked(values)

    def spearman(one, other):
        return spearmanr(one, other).statistic

    of_classes = [np.mean([spearman(*pair) for pair in itertools.combinations(picture, 2)]) for picture in values]
    assert a.between_classes(ranks) == pytest.approx(of_classes)
    of_pairs = [
        np.mean([spearman(values[i, c], values[i + 1, c]) for c in range(4)]) for i in (0, 2)
    ]  # the fifth is alone
    assert a.between_pictures(ranks) == pytest.approx(of_pairs)


def test_a_map_that_ranks_nothing_has_no_correlation_and_spoils_its_picture_alone():
    values = random.normal(size=(3, 4, 30))
    values[0, 2] = 0.3
    values[1, 1, 5] = np.nan
    found = a.between_classes(a.ranked(values))
    assert np.isnan(found).tolist() == [True, True, False]


def test_the_command_writes_table_and_figure(tmp_path, monkeypatch, network, capsys):
    monkeypatch.setattr(digits, "trained", lambda kind, known, seed: network)
    a.main(["data.limit=3", "model=tiny", "method=agi", "method.steps=2", *SMALL, f"paths.results={tmp_path}"])
    assert "ignored: model=tiny" in capsys.readouterr().err
    found = {file.suffix: file for file in (tmp_path / "report").iterdir()}
    assert set(found) == {".md", ".csv", ".tex", ".json", ".png", ".pdf"}
    numbers = pd.read_csv(found[".csv"]).set_index(["maps", "between", "reading"])
    assert len(numbers) == 2 * (3 + 3 + 2) and (numbers["failed"] == 0).all()
    n = numbers.xs("signed", level="reading")["n"].unstack()
    assert (n["classes"] == 3).all() and (n["pictures"] == 1).all() and n["own"].dropna().tolist() == [3, 3]
    mean = numbers["mean"].xs("classes", level="between").unstack()
    assert mean.loc["AII, p", "signed"] < 0.7  # they add up to 0; one class ten times: 1
    assert mean.loc["agi", "absolute"] < 0.99  # told each class; the prediction ten times: 1
    assert mean.loc["AII, p", "absolute"] > mean.loc["AII, p", "signed"]
    text = found[".md"].read_text()
    assert "python -m bench.studies.aii_fig3 data.limit=3 method=agi method.steps=2 compute.device=cpu" in text


@pytest.mark.parametrize(
    ("mean", "spread", "verdict"), [(0.95, 0.01, HOLDS), (0.7, 0.01, FAILS), (0.9, 0.05, CANNOT_TELL)]
)
def test_the_claim_needs_the_whole_interval_on_one_side(monkeypatch, mean, spread, verdict):
    absolute = np.array([mean - spread, mean + spread] * 10 + [np.nan])
    low = np.full(21, -0.1)
    alike = {("AII, p", "classes", "absolute"): absolute, ("AII, p", "classes", "signed"): low}
    alike |= {("AII, p", "pictures", "absolute"): low, ("sm_signed", "classes", "absolute"): low}
    monkeypatch.setattr(identities, "_of_digits", lambda: alike)
    found = identities.class_hardly_matters("0.9")
    assert found.verdict == verdict and f"by {mean:.2f} [" in found.because and "on 20 digits" in found.because


def test_the_claim_is_decided_by_the_studys_numbers(monkeypatch, network):
    monkeypatch.setattr(digits, "trained", lambda kind, known, seed: network)
    monkeypatch.setattr(identities, "DIGITS", 2)
    monkeypatch.setattr(a, "CLASSES", 2)  # enough to be compared
    found = identities._of_digits()
    assert {maps for maps, _, _ in found} == {"AII, p", "sm_signed"}
    assert all(np.isfinite(values).all() and (abs(values) <= 1).all() for values in found.values())
    assert len(found["AII, p", "classes", "absolute"]) == 2


def test_without_scikit_learn_the_claim_is_open_and_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    found = identities.class_hardly_matters("0.9")
    assert found.verdict == CANNOT_TELL and "heatproof[digits]" in found.because
    with pytest.raises(UserError, match=r"heatproof\[digits\]"):
        a.make(["data.limit=2"])
