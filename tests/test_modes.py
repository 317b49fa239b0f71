"""bench.profile modes=…: what faster modes change and how fast they are, by a clock of the test's own."""

import itertools

import numpy as np
import pandas as pd
import pytest

from bench.errors import UserError
from bench.profile import __main__ as profile
from bench.profile import modes as faster
from bench.profile.drift import drifts
from bench.report.document import Document

COLUMNS = pd.MultiIndex.from_tuples([(m, "unified", "gap") for m in "abc"], names=["method", "metric", "quantity"])
PLAIN = pd.DataFrame([[1.0, 2.0, 3.0], [3.0, 2.0, 1.5], [2.0, 2.5, 2.4]], columns=COLUMNS)  # means 2, 2.17, 2.3


def test_drift_is_of_means_of_images_and_of_the_order_of_methods():
    mode = PLAIN.copy()
    mode[("a", "unified", "gap")] += [0.0, 0.6, 0.0]  # its mean is 2.2 now: above b's, and no image changes its order
    (drift,) = drifts(PLAIN, mode)
    assert (drift.metric, drift.quantity, drift.images, drift.pairs, drift.swapped) == ("unified", "gap", 3, 3, 1)
    assert drift.of_mean == pytest.approx(0.2)
    assert drift.of_image.tolist() == pytest.approx([0.6, 0, 0])
    assert drift.swapped_images == 0
    mode[("b", "unified", "gap")] -= [0.0, 0.0, 0.2]  # below c's on one image: one pair of nine
    (drift,) = drifts(PLAIN, mode)
    assert drift.swapped_images == pytest.approx(1 / 9)


def test_an_image_that_failed_in_either_counts_in_neither():
    mode = PLAIN.copy()
    mode.iloc[1, 0] = np.nan
    (drift,) = drifts(PLAIN, mode)
    assert drift.images == 2
    assert drift.plain.tolist() == drift.mode.tolist() == pytest.approx([1.5, 2.25, 2.7])


def test_what_no_image_has_in_both_is_left_out():
    assert list(drifts(PLAIN, PLAIN * np.nan)) == []


def test_one_method_has_no_order():
    (drift,) = drifts(PLAIN.iloc[:, :1], PLAIN.iloc[:, :1])
    assert drift.pairs == drift.swapped == 0
    assert np.isnan(drift.swapped_images)


TINY = ["model=tiny", "model.size=32", "model.resize=36", "data.limit=3", "compute.device=cpu", "compute.batch_size=2"]
TINY += ["compute.workers=0", "metric=[unified]", "metric.unified.step=768", "method=sm,ig"]
IN = {"": faster.PLAIN, "bf16": (*faster.PLAIN, *faster.MODES["bf16"])}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A profile of four modes, one of which this machine has not. The clock says one second for whatever it is asked."""
    folder = tmp_path_factory.mktemp("results")
    own = ["rounds=1", "alone=false", "growth=none", "modes=fold,tf32,bf16,onnxruntime", f"paths.results={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        document, results = profile.make([*TINY, *own], read=itertools.count().__next__)
    document.save(results / "report")
    return Document.load(results / "report" / "profile.json")


def test_each_mode_has_the_drift_of_each_score(made):
    (table,) = (table for table in made.tables if table.title == "What faster modes change")
    assert [(row[0].text, row[1].text) for row in table.rows] == [
        (mode, f"unified {name}")
        for mode in ("fold", "bf16", "onnxruntime")
        for name in ("insertion", "deletion", "gap")
    ]
    of_image = {(row[0].text, row[1].text): row[3].value for row in table.rows}
    assert of_image["bf16", "unified insertion"] > 10 * of_image["onnxruntime", "unified insertion"]
    assert all(of_image["onnxruntime", f"unified {name}"] < 1e-4 for name in ("insertion", "deletion"))
    assert all(row[4].text.endswith(" of 1") for row in table.rows)
    (left_out,) = (fact for fact in made.facts if fact.startswith("Left out"))
    assert left_out == "Left out: tf32 (TF32 is of NVIDIA's GPUs)."


def test_numbers_are_those_of_each_method_in_each_mode(made):
    lines = made.numbers[made.numbers["axis"].str.startswith("mode ", na=False)]
    value = lines.set_index(["axis", "subject", "quantity"])["value"]
    mean_fp32, mean, largest = (
        value["mode bf16", "metric unified insertion, method ig", name]
        for name in ("mean_fp32", "mean", "largest_change_of_an_image")
    )
    assert 0 < abs(mean - mean_fp32) <= largest < 0.1
    assert value["mode bf16", "network", "images_of_another_class"] == 0


def test_speed_is_beside_plain(made):
    (table,) = (table for table in made.tables if table.title == "How fast they are")
    assert [row[0].text for row in table.rows] == ["method sm", "method ig", "metric unified"]
    assert {entry.value for row in table.rows for entry in row[1:]} == {1.0}


def test_each_mode_computes_as_it_says(tmp_path, monkeypatch):
    """Whoever is asked in which mode: the work of one among those of others."""
    asked = []
    monkeypatch.setattr(faster, "set_precision", asked.append)
    jobs = {name: faster.opened_in([*TINY, *options, f"paths.results={tmp_path}"]) for name, options in IN.items()}
    asked.clear()
    dict(faster.timed(jobs, 1, itertools.count().__next__))
    assert set(asked) == {"fp32", "bf16"}
    assert asked[-2:] == ["fp32", "bf16"]


def test_a_mode_that_there_is_not():
    with pytest.raises(UserError, match="modes=fast: expected some of fold, .*, all, or none"):
        profile.make(["modes=fast"])
