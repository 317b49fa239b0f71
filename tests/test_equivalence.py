"""How often each verdict is said when the truth is equal, off by the margin, or another method's."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from bench.choices import ROOT
from bench.report import equivalence
from bench.report.equivalence import AGREES, CANNOT_FAIL, CANNOT_TELL, DESIGN_ONLY, DIFFERS, judge

# LA's Table 1, Inception-v3
INSERTION = [0.05604, 0.09273, 0.10591, 0.10863, 0.18743, 0.20548, 0.31201, 0.32255, 0.34311, 0.40435, 0.44321, 0.54415]
DELETION = [0.03688, 0.03879, 0.04546, 0.06974, 0.07366, 0.08062, 0.08542, 0.08678, 0.09443, 0.09913, 0.10237, 0.28816]
random = np.random.default_rng()


@pytest.fixture(autouse=True)
def the_same_draws_in_any_order():
    random.bit_generator.state = np.random.default_rng(22).bit_generator.state


def scores(mean, spread, n):
    """Areas under a curve: in (0, 1), skewed if the mean is near an end."""
    k = mean * (1 - mean) / spread**2 - 1
    return random.beta(mean * k, (1 - mean) * k, n)


def said(truth, printed, n, quantity="insertion", spread=0.26, same=False, repeats=300, **how):
    """{word: share}; printed, truth: the means of their images and of ours."""
    column = {"insertion": INSERTION, "deletion": DELETION}[quantity]
    words = Counter()
    for _ in range(repeats):
        theirs = scores(truth if same else printed, spread, 1000)
        ours = theirs[:n] if same else scores(truth, spread, n)
        digits = f"{theirs.mean() + (printed - truth if same else 0):.5f}"
        how = {"metric": "unified", "noise": 7e-4} | how
        words[judge(ours, digits, quantity=quantity, column=column, same_images=same, **how).word] += 1
    return {word: count / repeats for word, count in words.items()}


@pytest.mark.parametrize("n", [100, 300, 1000])
@pytest.mark.parametrize("same", [True, False])
def test_equal_means_are_seldom_said_to_differ(n, same):
    assert said(0.544, 0.544, n, same=same).get(DIFFERS, 0) <= 0.05
    assert said(0.05, 0.05, n, "deletion", 0.06, same=same).get(DIFFERS, 0) <= 0.08  # skewed: 5 % holds from 300 on


def test_on_the_same_images_equal_means_agree_once_all_are_there():
    assert said(0.544, 0.544, 1000, same=True)[AGREES] == 1
    assert said(0.05, 0.05, 1000, "deletion", 0.06, same=True)[AGREES] == 1


def test_more_images_make_agreement_likelier_not_rarer():
    shares = [said(0.544, 0.544, n).get(AGREES, 0) for n in (100, 1000, 1000)]
    shares[2] = said(0.544, 0.544, 10_000, published_images=10_000).get(AGREES, 0)
    assert shares[0] <= 0.05 < shares[1] < 0.8 < shares[2]


@pytest.mark.parametrize(("n", "same"), [(100, False), (1000, False), (300, True), (1000, True)])
def test_a_mean_that_is_off_by_the_margin_agrees_in_five_of_a_hundred(n, same):
    assert said(0.544 * 0.95, 0.544, n, same=same).get(AGREES, 0) <= 0.05 + 0.03
    assert said(0.0525, 0.05, n, "deletion", 0.06, same=same).get(AGREES, 0) <= 0.05 + 0.03


@pytest.mark.parametrize(("n", "least"), [(100, 0.9), (300, 1), (1000, 1)])
def test_another_methods_mean_never_agrees_and_is_soon_said_to_differ(n, least):
    words = said(0.404, 0.544, n)  # AttEXplore's instead of LA's
    assert words.get(AGREES, 0) == 0
    assert words[DIFFERS] >= least
    twice = said(0.0368, 0.0184, n, "deletion", 0.05)  # deletion at twice the printed value
    assert twice.get(AGREES, 0) == 0


def test_few_images_are_no_evidence():
    verdict = judge(
        scores(0.4, 0.26, 12), "0.544", metric="unified", quantity="insertion", column=INSERTION, same_images=False
    )
    assert verdict.word == DESIGN_ONLY
    assert str(verdict) == "design only: 12 images, a verdict takes 100"


def test_images_in_classes_are_fewer_than_they_seem():
    groups = np.repeat(np.arange(20), 25)
    shared = 0.1 * random.normal(size=20)[groups]
    how = {"metric": "unified", "quantity": "insertion", "column": INSERTION, "same_images": False}
    values = 0.5 + shared - shared.mean() + 0.001 * random.normal(size=500)
    alone, classes = (judge(values, "0.500", groups=g, **how) for g in (None, groups))
    assert alone.word == AGREES
    assert classes.word == CANNOT_TELL
    assert str(classes) == "cannot tell at this n"
    assert judge(values, "0.500", groups=groups // 2, **how).why == "images of 10 classes, a verdict takes 15"


def test_printed_digits_are_no_more_exact_than_they_are():
    how = {"metric": "unified", "quantity": "deletion", "column": DELETION, "same_images": True}
    values = np.full(1000, 0.0305)
    assert judge(values, "0.0305", **how).word == AGREES
    coarse = judge(values, "0.03", **how)
    assert (coarse.low, coarse.high) == pytest.approx((0.0005 - 0.005, 0.0005 + 0.005))
    assert coarse.word == CANNOT_TELL


def test_a_column_of_one_value_cannot_fail():
    how = {"metric": "insertion_deletion", "quantity": "deletion", "same_images": True}
    sweep = [0.0301, 0.0305, 0.0309, 0.0313, 0.0315]  # AttEXplore's Table 3
    assert judge(np.full(1000, 0.0301), "0.0315", column=sweep, **how).word == CANNOT_FAIL
    assert judge(np.full(1000, 0.0801), "0.0315", column=sweep, **how).word == DIFFERS  # but the whole column can
    assert not equivalence.cannot_fail(DELETION, "unified", "deletion")
    assert not equivalence.cannot_fail([0.03], "unified", "deletion")


def test_a_verdict_takes_the_tables_own_conditions():
    table = {"network": "resnet50", "weights": "0676ba61", "input size": "224", "data": "A"}
    assert equivalence.withholding(table, dict(table)) == ""
    assert (
        equivalence.withholding(table, table | {"weights": "x", "data": "B"})
        == "another weights, data than the table's"
    )
    assert equivalence.withholding({}, table)
    verdict = judge(np.full(1000, 0.5), "0.5", metric="unified", quantity="insertion", column=INSERTION, same_images=True,
                    withheld="another network than the table's")  # fmt: skip
    assert str(verdict) == "design only: another network than the table's"


def columns():
    """Every printed column of at least eight methods, with its metric and quantity."""
    for path in sorted((ROOT / "results" / "published").glob("*_table*.csv")):
        table = pd.read_csv(path)
        table = table[table["param"].isna() & table["value"].notna() & (table["quantity"] != "fps")]
        for (metric, quantity, *_), part in table.groupby(["metric", "quantity", "model", "confidence"], dropna=False):
            if len(part) >= 8:
                yield metric, quantity, part["value"].to_numpy()


def test_margins_are_smaller_than_what_separates_methods():
    """Share of pairs of different methods in a column, of which one lies within the other's margin."""
    mistaken = {}
    for metric, quantity, values in columns():
        margins = np.array([equivalence.margin_of(str(v), metric, quantity, values) for v in values])
        assert not equivalence.cannot_fail(values, metric, quantity)
        assert (margins <= equivalence.separation(values) / 2).all()
        within = np.abs(values[:, None] - values) <= margins[:, None]
        mistaken.setdefault(quantity, []).append(within[~np.eye(len(values), dtype=bool)].mean())
    shares = {quantity: np.mean(found) for quantity, found in mistaken.items()}
    assert shares["insertion"] < 0.08
    assert shares["gap"] < 0.06
    assert shares["score"] < 0.15
    assert shares["deletion"] < 0.15
