"""Intervals cover what they claim to, with few images and with images that come in classes."""

import numpy as np
import pytest
import scipy.stats

from bench.report import intervals

random = np.random.default_rng()


@pytest.fixture(autouse=True)
def the_same_draws_in_any_order():
    random.bit_generator.state = np.random.default_rng(20).bit_generator.state


def covers(draw, mean, repeats=300, **how):
    found = [intervals.interval(*draw(), draws=300, **how)[:, 0] for _ in range(repeats)]
    return np.mean([low <= mean <= high for low, high in found])


def in_classes(classes, each, between=1.0, within=0.5):
    """Normal scores of mean 0 that images of one class share a part of."""
    groups = np.repeat(np.arange(classes), each)
    return between * random.normal(size=(classes, 1))[groups] + within * random.normal(size=(len(groups), 1)), groups


def test_from_fifteen_images_on_it_is_the_percentile_bootstrap_of_their_means():
    values = random.random((15, 2))
    picked = np.random.default_rng(0).integers(15, size=(400, 15), dtype=np.int32)
    expected = np.percentile(values[picked].mean(axis=1), [2.5, 97.5], axis=0)
    np.testing.assert_allclose(intervals.interval(values, draws=400), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 7, 14])
def test_below_it_is_students_t(n):
    values = random.random(n)
    t = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(intervals.interval(values[:, None], draws=9)[:, 0], [t.low, t.high])


def test_few_images_are_covered_where_the_bootstrap_is_not():
    def five():
        return random.beta(1, 1.5, (5, 1)), None

    assert covers(five, 0.4) > 0.90
    boots = [np.percentile(intervals.resampled(five()[0], draws=300), [2.5, 97.5]) for _ in range(300)]
    assert np.mean([low <= 0.4 <= high for low, high in boots]) < 0.88


def test_images_of_one_class_are_resampled_together():
    assert covers(lambda: in_classes(20, 10), 0.0) > 0.88
    assert covers(lambda: (in_classes(20, 10)[0], None), 0.0) < 0.70  # as if they were 200 independent images


def test_few_classes_have_t_of_their_class_means():
    values, groups = in_classes(6, 4)
    t = scipy.stats.ttest_1samp(values.reshape(6, 4).mean(axis=1), 0).confidence_interval(0.95)
    np.testing.assert_allclose(intervals.interval(values, groups, draws=9)[:, 0], [t.low, t.high])


def test_classes_of_one_image_change_nothing():
    values = random.random((30, 2))
    alone = intervals.interval(values, np.arange(30), draws=200)
    np.testing.assert_allclose(alone, intervals.interval(values, draws=200), rtol=1e-12)
    np.testing.assert_allclose(intervals.standard_error(values), values.std(axis=0, ddof=1) / np.sqrt(30))


def test_the_order_of_the_images_within_classes_does_not_matter():
    values, groups = in_classes(16, 3)
    order = random.permutation(48)
    here = intervals.interval(values, groups, draws=200)
    np.testing.assert_allclose(here, intervals.interval(values[order], groups[order], draws=200), rtol=1e-9)


def test_one_image_or_one_class_has_no_interval():
    assert np.isnan(intervals.interval(np.ones((1, 2)), draws=9)).all()
    assert np.isnan(intervals.interval(np.ones((4, 2)), np.zeros(4), draws=9)).all()


def test_quartiles():
    assert intervals.quartiles(np.array([[1.0], [2], [3], [4], [100]]))[:, 0].tolist() == [2, 3, 4]
    assert np.isnan(intervals.quartiles(np.empty((0, 2)))).all()


def test_a_class_for_each_image():
    with pytest.raises(ValueError, match="3 classes of 4 images"):
        intervals.interval(np.ones((4, 1)), np.zeros(3), draws=9)
