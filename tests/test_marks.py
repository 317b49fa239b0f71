"""What is told apart: differences of means, in the right direction, and by chance in no more than 5 % of columns."""

import numpy as np
import pytest

from bench.report import marks
from bench.report.marks import critical_value, mark, two_digits

random = np.random.default_rng()


@pytest.fixture(autouse=True)
def the_same_draws_in_any_order():
    random.bit_generator.state = np.random.default_rng(21).bit_generator.state


COLUMNS, SLACK = 300, 0.03  # so many columns, 2.4 standard errors of a share of 5 %


def mistakes(draw, groups=None, columns=COLUMNS):
    """The share of columns of equal means in which any row is told to be worse than another."""
    return np.mean([not mark(draw(), 1, groups, draws=300).best.all() for _ in range(columns)])


def uncorrected(draw, columns=COLUMNS):
    """The same by a paired t test of every row against the best."""
    wrong = 0
    for _ in range(columns):
        x = draw()
        gaps = x[:, [x.mean(axis=0).argmax()]] - x
        gaps = gaps[:, gaps.any(axis=0)]
        wrong += (gaps.mean(axis=0) > 1.96 * gaps.std(axis=0, ddof=1) / np.sqrt(len(x))).any()
    return wrong / columns


def normal():
    return random.normal(size=(40, 12))


def skewed():
    """Deletion-like: most near 0."""
    return random.beta(0.4, 4, size=(40, 12))


def unlike():
    """Of equal mean, 0.1, and very unlike skewness."""
    return np.stack([random.beta(a, 9 * a, 40) for a in np.linspace(0.2, 4, 12)], axis=1)


@pytest.mark.parametrize("draw", [normal, skewed, unlike])
def test_equal_methods_are_told_apart_in_five_columns_of_a_hundred(draw):
    assert mistakes(draw) <= 0.05 + SLACK
    assert uncorrected(draw) > 0.25


def test_images_in_classes_do_not_count_as_so_many():
    groups = np.repeat(np.arange(20), 5)

    def classes():
        return random.normal(size=(20, 12))[groups] + 0.5 * random.normal(size=(100, 12))

    assert mistakes(classes, groups) <= 0.05 + SLACK
    assert mistakes(classes, columns=60) > 0.5  # as if they were a hundred independent images


def test_intervals_hold_the_true_differences_of_all_rows_at_once():
    truth = np.linspace(0, 0.5, 8)
    kept = 0
    for _ in range(200):
        m = mark(truth + random.normal(size=(60, 8)), 1, draws=300)
        true = truth[m.first] - truth
        kept += ((m.low <= true + 1e-12) & (true <= m.high + 1e-12)).all()
    assert kept / 200 >= 0.92


def test_the_direction_of_the_means_counts_not_that_of_most_images():
    a, b = np.zeros(40), np.full(40, 0.01)
    a[:5] = 0.5
    m = mark(np.stack([a, b], axis=1) + 1e-4 * random.normal(size=(40, 2)), 1)
    assert m.first == 0
    assert m.best.tolist() == [True, True]  # five images carry the difference; 35 of 40 say the opposite


def test_lower_is_better():
    scores = np.array([0.3, 0.1, 0.102]) + np.array([0.05, 0.05, 0.05]) * random.normal(size=(60, 3))
    m = mark(scores, -1)
    assert m.best.tolist() == [False, True, True]
    assert (m.difference >= 0).all()
    np.testing.assert_allclose(m.difference, scores.mean(axis=0) - scores[:, m.first].mean(), atol=1e-12)


def test_what_every_image_shares_is_no_noise():
    image = 10 * random.normal(size=(30, 1))
    assert mark(image + [0, 1] + 0.5 * random.normal(size=(30, 2)), 1).best.tolist() == [False, True]


def test_more_rows_make_a_larger_difference_necessary():
    scores = random.normal(size=(50, 12))
    off = scores - scores.mean(axis=0)
    assert critical_value(off) > critical_value(off[:, :3]) + 0.4 > critical_value(off[:, :2]) + 0.4
    assert critical_value(off[:, :2]) == pytest.approx(2.01, abs=0.15)  # t of a single pair


def test_resamples_that_are_kept_are_those_that_would_be_drawn(monkeypatch):
    scores = random.normal(size=(60, 4))
    off = scores - scores.mean(axis=0)
    monkeypatch.setattr(marks, "RESAMPLED_AT_ONCE", 60 * 700)  # of 2,000 draws: three parts, the last of which is short
    kept = [critical_value(off), critical_value(off)]
    monkeypatch.setattr(marks, "RESAMPLED_KEPT", 0)
    assert kept == [critical_value(off)] * 2
    assert sum(len(part) for part in marks._resamples(60, 2000)) == 2000


def test_images_needed_are_those_at_which_the_same_test_tells_them_apart():
    def pair(n):
        return random.normal(size=(n, 6)) + [0.2, 0, 0, 0, 0, 0]

    found = [mark(pair(60), 1, draws=300) for _ in range(40)]
    closest = [m for m in found if m.first == 0 and 0.17 < m.difference[1] < 0.23]
    needed = int(np.median([m.needed[1] for m in closest]))
    told = [not mark(pair(needed), 1, draws=300).best[1] for _ in range(100)]
    assert 0.65 < np.mean(told) < 0.95  # power 0.8
    assert needed == two_digits(needed)


def test_two_digits():
    assert [two_digits(n) for n in (0.3, 9.2, 14.4, 2918.0, 96_500.1)] == [1, 10, 14, 2900, 97_000]


def test_few_images_have_intervals_and_no_marks():
    scores = random.normal(size=(14, 3)) + [0, 0, 9]
    m = mark(scores, 1)
    assert not m.marked
    assert not m.best.any()
    assert m.low[0] > 0
    assert np.isnan(m.needed).all()
    assert not mark(np.repeat(scores, 3, axis=0), 1, np.repeat(np.arange(14), 3)).marked  # 42 images of 14 classes


def test_rows_that_are_the_same_or_differ_by_rounding_are_both_the_best():
    a = random.random(40)
    m = mark(np.stack([a, a, a + 1e-13, a - 0.1], axis=1), 1)
    assert m.best.tolist() == [True, True, True, False]  # a constant difference is told
    assert np.isnan(m.needed[1:]).all()


def test_rounding_does_not_hide_what_differs():
    a = random.normal(0.5, 0.3, 60)
    scores = np.stack([a + 1, a, a + random.normal(0, 0.2, 60)], axis=1)  # a + 1 - a is 1, give or take a last digit
    off = scores - scores.mean(axis=0)
    assert critical_value(off) == pytest.approx(critical_value(off[:, 1:]), abs=0.1)


def test_the_same_scores_have_the_same_marks():
    scores, groups = random.normal(size=(60, 5)), np.repeat(np.arange(20), 3)
    order = random.permutation(60)
    a, b = mark(scores, 1, groups), mark(scores[order], 1, groups[order])
    np.testing.assert_allclose(a.low, b.low, rtol=1e-9)


def test_a_missing_score_is_an_error():
    with pytest.raises(ValueError, match="finite"):
        mark(np.array([[1.0, np.nan]]), 1)
