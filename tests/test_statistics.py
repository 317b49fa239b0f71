"""Statistics by hand and against scipy, and what a column's marks say."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.report import intervals, significance
from bench.report.quantities import SPEEDS, of_metric
from bench.store.records import conditions
from metrics.quantities import Quantity

RANDOM = np.random.default_rng(3)


def test_tau_is_scipys_with_ties_and_for_many_rankings_at_once():
    b = RANDOM.integers(0, 5, 12).astype(float)
    many = np.stack([RANDOM.integers(0, 6, 12), RANDOM.permutation(12), b])
    expected = [stats.kendalltau(a, b, variant="b").statistic for a in many]
    np.testing.assert_allclose(significance.tau_b(many, b), expected)
    assert np.isnan(significance.tau_b(np.ones(12), b))


def column(
    scores,
    *,
    quantity="insertion",
    metric="unified",
    kind=None,
    published=None,
    missing=0,
    records=None,
    start=None,
    classes=None,
):
    """compare() of one column. scores: {row: values over images 0, 1, …}."""
    lines, rows = [], []
    kind = kind or (of_metric(metric) | SPEEDS)[quantity]
    for k, (name, values) in enumerate(scores.items()):
        cell = {"data": "d", "model": "m", "metric": metric, "confidence": "all", "quantity": quantity, "row": name}
        cell["kind"] = kind
        printed = (published or {}).get(name)
        lines.append(cell | {"run_id": name, "mean": np.mean(values), "n": len(values), "published": printed})
        nothing = dict.fromkeys(["insertion", "deletion", "score"], np.nan)
        rows += [
            {
                **nothing,
                "run_id": name,
                "image_id": str(i),
                "status": "ok",
                "confidence": 0.9,
                "seconds_attribution": 1,
                "label": None if classes is None else classes[i],
                quantity: value,
            }
            for i, value in enumerate(values, (start or {}).get(name, 0))
            if not (k == 0 and i < missing)
        ]
    numbers, footers = significance.compare(pd.DataFrame(lines), pd.DataFrame(rows), records or {}, 0.7)
    return dict(zip(numbers["row"], numbers["standing"], strict=True)), " ".join(
        footers.get(("d", "m", metric, "all"), [])
    )


BASE = RANDOM.normal(0.5, 0.3, 60)
START = RANDOM.bit_generator.state


@pytest.fixture(autouse=True)
def the_same_draws_whichever_tests_ran_before():
    RANDOM.bit_generator.state = START


def test_what_differs_little_but_always_is_told_apart_and_what_differs_by_chance_is_not():
    noise = RANDOM.normal(0, 0.05, 60)
    scores = {"a": BASE + 0.01, "always": BASE, "chance": BASE + 0.005 + noise - noise.mean()}
    standing, _ = column(scores)
    assert standing == {"a": "best", "always": "", "chance": "level"}  # unpaired, none would be


def test_direction_is_the_metrics():
    scores = {"low": BASE, "high": BASE + 0.1}
    assert column(scores)[0] == {"low": "", "high": "best"}
    assert column(scores, quantity="deletion")[0] == {"low": "best", "high": ""}
    assert column(scores, quantity="score", metric="infidelity")[0] == {"low": "best", "high": ""}
    mine = {"quantity": "score", "metric": "mine"}
    assert column(scores, **mine, kind=Quantity("Mine", "high"))[0] == {"low": "", "high": "best"}
    assert column(scores, **mine, kind=Quantity("Mine", "low"))[0] == {"low": "best", "high": ""}


def test_rows_are_paired_by_image_not_by_place():
    standing, _ = column({"a": BASE + 0.01, "b": BASE}, missing=7)
    assert standing == {"a": "best", "b": ""}


def of(**settings):
    """A run's record."""
    run = {"seed": settings.pop("seed", 0), "target": settings.pop("target", "prediction")}
    compute = {"precision": settings.pop("precision", "fp32")}
    metric = {"_target_": settings.pop("metric", "metrics.perturbation.perturbation")}
    config = {"model": {}, "data": {}, "method": settings, "metric": metric, "run": run, "compute": compute}
    cell = {"data": "d", "model": "m", "method": "a", "metric": "any"}
    return {"cell": cell, "config": config, "versions": {"protocol": "1"}, "device": {"name": "cpu"}}


@pytest.mark.parametrize("other", [{"target": "label"}, {"precision": "fp64"}])
def test_rows_under_other_conditions_are_neither_marked_nor_tested(other):
    scores = {"a": BASE, "b": BASE + 0.1, "apart": BASE + 0.2}
    standing, lines = column(scores, records={"a": of(), "b": of(seed=3), "apart": of(**other)})
    assert standing == {"a": "", "b": "best", "apart": ""}
    assert f"a, b | apart; they differ in {next(iter(other))}" in lines


def test_the_confusion_colour_is_a_condition_and_the_seed_where_the_metric_draws():
    grey, red = ({"confusion": {"colour": colour}} for colour in ([0.5] * 3, [1, 0, 0]))
    assert conditions(of() | grey) != conditions(of() | red)
    infidelity = {"metric": "metrics.infidelity.infidelity"}
    assert conditions(of(seed=1, **infidelity)) != conditions(of(seed=2, **infidelity))
    assert conditions(of(seed=1)) == conditions(of(seed=2))


def test_rows_without_a_common_image_are_neither_marked_nor_tested():
    standing, lines = column({"a": BASE[:30], "b": BASE[30:]}, start={"b": 30})
    assert standing == {"a": "", "b": ""}
    assert "a | b; they share 0 images at most" in lines


def test_the_best_is_the_best_of_the_images_that_all_share():
    hard = BASE[:40] - 1
    scores = {"a": np.concatenate([hard, BASE[40:] + 9]), "b": hard + 0.1}  # a has the easy ones for itself
    standing, lines = column(scores)
    assert standing == {"a": "", "b": "best"}
    assert "over the 40 images that all rows share" in lines
    few, lines = column({"a": BASE, "b": BASE, "trial": BASE[:1] + 5})  # one image does not spoil the others' test
    assert few == {"a": "best", "b": "level", "trial": ""}
    assert "a, b | trial; they share 1 image at most" in lines


def test_speeds_are_no_sample_over_images_and_have_no_marks():
    assert column({"a": BASE, "b": BASE + 1}, quantity="fps")[0] == {"a": "", "b": ""}


def test_images_of_one_class_count_as_one():
    wins = np.repeat(np.linspace(-0.06, 0.1, 20), 10)  # a class of ten shares its difference
    scores = {"a": np.tile(BASE, 4)[:200], "b": np.tile(BASE, 4)[:200] + wins}
    assert column(scores)[0] == {"a": "", "b": "best"}
    assert column(scores, classes=np.repeat(np.arange(20) * 7, 10))[0] == {"a": "level", "b": "best"}
    every = np.repeat(np.arange(20), 10)  # all classes that there are: no sample of classes
    assert column(scores, classes=every)[0] == {"a": "", "b": "best"}


def test_the_runner_up_comes_with_the_images_that_would_settle_it():
    _, line = column({"a": BASE, "b": BASE + RANDOM.normal(0, 0.1, 60), "c": BASE - 0.3})
    assert "To tell" in line and "here 60" in line
    assert "c " not in line


def test_ranking_is_set_beside_the_published_one_with_an_interval():
    scores = {name: BASE + shift for name, shift in zip("abcd", (0.3, 0.2, 0.1, 0.0), strict=True)}
    _, line = column(scores, published=dict(zip("abcd", ("4", "3", "2", "1"), strict=True)))
    assert "insertion, 4 rows: 1.00 [1.00, 1.00]" in line
    few = {name: values[:14] for name, values in scores.items()}
    _, line = column(few, published=dict(zip("abcd", ("4", "3", "2", "1"), strict=True)))
    assert "insertion, 4 rows: 1.00, no interval at this n." in line
    _, line = column(scores, published={"a": "1", "b": "2", "c": "3"})
    assert "3 rows: -1.00" in line
    assert "Kendall" not in column(scores, published={"a": "1", "b": "2"})[1]


PRINTED = np.array([0.056, 0.093, 0.106, 0.109, 0.187, 0.205, 0.312, 0.344, 0.404, 0.544])  # most of LA's Table 1


def test_an_interval_of_tau_holds_the_truth_where_resampled_taus_do_not():
    """Scores as of 20 images whose methods truly rank as printed; 0.6 of what varies is the image's."""
    spread, within, resampled = 0.6 * np.sqrt(PRINTED * (1 - PRINTED)), 0, 0
    k = PRINTED * (1 - PRINTED) / spread**2 - 1
    for _ in range(60):
        normal = np.sqrt(0.6) * RANDOM.normal(size=(20, 1)) + np.sqrt(0.4) * RANDOM.normal(size=(20, 10))
        scores = stats.beta.ppf(stats.norm.cdf(normal), PRINTED * k, (1 - PRINTED) * k)
        low, high = significance.tau_range(scores, PRINTED, draws=200)
        within += low - 1e-9 <= 1 <= high + 1e-9
        taus = significance.tau_b(intervals.resampled(scores, draws=200), PRINTED)
        resampled += np.percentile(taus, 97.5) > 1 - 1e-9
    assert within / 60 >= 0.95
    assert resampled / 60 < 0.5


def test_the_interval_of_tau_is_what_the_pairs_that_are_not_told_apart_leave_open():
    b = np.array([3.0, 2.0, 1.0])
    scores = np.stack([BASE + 1, BASE + RANDOM.normal(0, 0.2, 60), BASE], axis=1)  # the first above both, these alike
    np.testing.assert_allclose(significance.tau_range(scores, b), (1 / 3, 1))
    np.testing.assert_allclose(significance.tau_range(scores, -b), (-1, -1 / 3))
    assert significance.tau_range(scores[:14], b) is None
    assert significance.tau_range(scores, b, np.repeat(np.arange(12), 5)) is None  # 60 images of 12 classes
