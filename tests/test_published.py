"""The papers' numbers beside ours: the right cell, its printed digits, the right word."""

import pandas as pd
import pytest

from bench.papers import published
from bench.report.quantities import SPEEDS, of_metric


def beside(paper, table, *keys, rows=None, mean=0.5, ci=(0.4, 0.6), n=3, **settings):
    """published.beside of lines (model, row, metric, confidence, quantity); rows default to the methods they are called."""
    columns = ["model", "row", "metric", "confidence", "quantity"]
    measured = {"mean": mean, "ci_low": ci[0], "ci_high": ci[1], "n": n}
    kinds = [(of_metric(key[2]) | SPEEDS)[key[4]] for key in keys]
    lines = [dict(zip(columns, key, strict=True), **measured, kind=kind) for key, kind in zip(keys, kinds, strict=True)]
    numbers = pd.DataFrame(lines)
    rows = rows or {key[1]: {"method": key[1]} for key in keys}
    return published.beside(numbers, paper, table, rows, **settings)


def test_values_keep_their_printed_digits():
    found = beside("aii", 2, ("inception_v3", "sm", "fair", "low", "insertion")).iloc[0]
    assert found["published"] == "0.024"
    assert found["difference"] == pytest.approx(0.476)
    assert found["published_source"] == "aii_table2.csv"
    assert beside("aii", 4, ("inception_v3", "sm", "insertion_deletion", "all", "gap"))["published"][0] == "0.1680"


def test_each_metric_finds_its_own_family():
    keys = [("inception_v3", "sm", metric, "low", "insertion") for metric in ("unified", "fair", "kl", "pixel")]
    assert list(beside("aii", 1, *keys)["published"].fillna("")) == ["0.0226", "", "", ""]
    assert list(beside("aii", 3, *keys)["published"].fillna("")) == ["", "", "4.0006", ""]
    assert beside("attexplore", 8, ("resnet50", "attexplore", "infidelity", "all", "score"))["published"][0] == "0.671"


def test_a_gap_that_was_not_printed_is_the_difference_of_the_printed_scores():
    found = beside("la", 1, ("inception_v3", "fast_ig", "unified", "all", "gap"))  # 0.05604 and 0.08542
    assert found["published"][0] == "-0.02938"
    cut = beside("aii", 1, ("vgg16", "aii", "unified", "high", "gap"))["published"][0]  # cut off in the paper
    assert float(cut) > 0


def test_our_row_can_be_set_beside_a_published_one_of_another_name():
    key = ("resnet50", "fast_ig_as_published", "unified", "all", "insertion")
    assert beside("la", 1, key)["published"].isna().all()
    rows = {"fast_ig_as_published": {"method": "fast_ig"}}
    assert beside("la", 1, key, rows=rows)["published"][0] == "0.03165"


def test_a_swept_table_is_read_by_its_setting():
    key = ("resnet50", "N = 10", "insertion_deletion", "all", "insertion")
    rows = {"N = 10": {"method": "attexplore", "param": "N", "param_value": "10"}}
    assert beside("attexplore", 3, key, rows=rows)["published"][0] == "0.4004"
    rows = {"N = 10": {"method": "attexplore"}}  # nothing says which of six
    assert beside("attexplore", 3, key, rows=rows)["published"].isna().all()


def test_a_network_that_the_paper_does_not_name_is_the_one_we_take():
    keys = [(model, "ig", "insertion_deletion", "all", "fps") for model in ("resnet50", "vgg16")]
    assert list(beside("attexplore", 2, *keys, unnamed_model="resnet50")["published"].notna()) == [True, False]


@pytest.mark.parametrize(
    ("key", "n", "word"),
    [
        (("resnet50", "sm", "unified", "all", "insertion"), 9, "pending"),
        (("resnet50", "sm", "unified", "all", "insertion"), 0, "not run"),
        (("resnet50", "sm", "unified", "all", "gap"), 9, "derived"),
        (("resnet50", "nobody", "unified", "all", "insertion"), 9, ""),
    ],
)
def test_what_stands_in_a_verdicts_place(key, n, word):
    assert list(beside("la", 1, key, n=n)["verdict"]) == [word]


def test_a_column_is_all_that_is_printed_of_it():
    printed = published.column("la", 1, "resnet50", "unified", "insertion", "all")
    assert len(printed) == 12 and 0.03165 in printed
    assert len(published.column("attexplore", 3, "resnet50", "insertion_deletion", "insertion", "all")) == 6
    assert published.column("la", 1, "tiny", "unified", "insertion", "all") == []


def test_what_cannot_be_right_is_not_judged_by_its_value():
    keys = [(model, "la", "unified", "all", "insertion") for model in ("maxvit_t", "vgg16")]
    assert list(beside("la", 3, *keys, ci=(0, 1))["verdict"]) == ["impossible", "pending"]
    assert list(beside("la", 1, *keys, ci=(0, 1))["verdict"]) == ["pending", "pending"]
