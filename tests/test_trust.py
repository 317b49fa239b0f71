"""Which rankings and claims survive the variants of a score."""

import numpy as np
import pandas as pd
import pytest

from bench.choices import ROOT
from bench.errors import UserError
from bench.studies import trust


def rows(insertion, deletion=0.1, start=0.0, end=1.0, label=3):
    """A run's scored rows; the prediction is 3, and curves go from start to end."""
    n = len(insertion)
    return pd.DataFrame(
        {"insertion": insertion, "deletion": deletion, "prediction": 3, "label": label}
        | {"insertion_curve": [np.array([start, end])] * n},
        index=[f"{i}" for i in range(n)],
    )


ONE, TWO = np.linspace(0.2, 0.4, 8), np.linspace(0.1, 0.3, 8)


@pytest.fixture
def ranked():
    found = {
        "unified": {"a": rows(ONE), "b": rows(TWO), "a, draws 1": rows(ONE[:2] - 0.2), "b, draws 1": rows(TWO[:2])},
        "blur": {"a": rows(TWO), "b": rows(ONE)},
    }
    return {variant.name: variant for variant in trust.variants(found, ["draws 1", "abs"])}


def test_a_variant_for_each_game_split_and_seed_that_there_are_rows_of(ranked):
    games = ["unified", "baseline blur", "normalised curves", "correct only"]
    halves = ["images 1", "images 2", "images 3"]
    assert list(ranked) == [*games, *halves, trust.BASE, "draws 1"]
    assert len(ranked["draws 1"].scores["gap"]) == 2 == len(ranked[trust.BASE].scores["gap"])
    drawn = [set(ranked[name].scores["gap"].index) for name in halves]
    assert {len(images) for images in drawn} == {4} and drawn[0] != drawn[1]


def test_what_is_done_to_the_maps_of_some_methods_leaves_the_others_their_score():
    found = {"unified": {"a": rows(ONE), "b": rows(TWO), "a, abs": rows(ONE - 0.2)}}
    (variant,) = (one for one in trust.variants(found, ["abs"]) if one.name == "post abs")
    assert dict(variant.means("insertion")) == pytest.approx({"a": (ONE - 0.2).mean(), "b": TWO.mean()})


def test_rows_of_other_settings_are_refused_in_a_sentence():
    with pytest.raises(UserError, match="experiment.steps= for instance"):
        trust.make(["data.root=nowhere", "experiment.steps=14", f'paths.results="{ROOT / "results" / "trust"}"'])


def test_a_claim_holds_where_the_first_comes_first(ranked):
    told = trust.claims(list(ranked.values()), [["a", "b"]])
    held = told[told["quantity"] == "insertion"].set_index("variant")["holds"]
    assert held["unified"] and held["correct only"] and held["normalised curves"]
    assert not held["baseline blur"] and not held["draws 1"]
    said = trust.sentence(told, "insertion")
    again = {"normalised curves": "unified", "correct only": "unified"}  # of curves from 0 to 1, of nothing wrong
    assert trust.repeated(list(ranked.values())) == again
    assert "of 1 claims 0 survive all 6 variants" in said and "not by baseline blur, draws 1" in said


def test_other_seeds_tell_nothing_of_a_claim_that_fails_on_their_images_with_any():
    few = np.array([0.0, 0.0, *ONE[2:]])  # below TWO on the images that have other seeds, above it over all
    found = {
        "unified": {"a": rows(few), "b": rows(TWO), "a, draws 1": rows(few[:2]), "b, draws 1": rows(TWO[:2] + 0.01)}
    }
    told = trust.claims(trust.variants(found, ["draws 1"]), [["a", "b"], ["b", "a"]])
    counts = told[(told["quantity"] == "insertion") & (told["variant"] == "draws 1")].set_index("claim")["counts"]
    assert not counts["a above b"] and counts["b above a"]
    assert not told.loc[told["variant"] == trust.BASE, "counts"].any()
    assert "a above b (not by draws 1" not in trust.sentence(told, "insertion")


def test_a_difference_has_an_interval_over_classes(ranked):
    alike = [float(i // 4) for i in range(80)]
    of_classes = {
        name: rows(np.array(alike) * s, label=[5 * i for i in map(int, alike)]) for name, s in (("a", 2), ("b", 1))
    }
    of_images = {name: scored.assign(label=np.nan) for name, scored in of_classes.items()}
    wide, narrow = (
        trust.claims(trust.variants({"unified": found}, [])[:1], [["a", "b"]]).iloc[0]
        for found in (of_classes, of_images)
    )
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_ties_are_a_variant_of_their_own():
    found = {"unified": {"a": rows(ONE), "b": rows(TWO)}, "ties": {"a": rows(TWO), "b": rows(ONE)}}
    told = trust.claims(trust.variants(found, []), [["a", "b"]])
    assert "not by ties spread" in trust.sentence(told, "insertion")


def test_agreement_is_1_with_itself_and_minus_1_with_the_reverse(ranked):
    square = trust.agreement([ranked["unified"], ranked["baseline blur"]], "insertion")
    np.testing.assert_array_equal(square, [[1, -1], [-1, 1]])


def test_a_normalised_area_is_that_of_the_curve_from_0_to_1():
    found = trust.normalised(rows([0.5, 0.6], start=0.2, end=0.7))
    np.testing.assert_allclose(found["insertion"], [0.6, 0.8])
    assert trust.normalised(rows([0.5], start=0.5, end=0.5)).empty  # nothing to stretch
