"""Rows to numbers: the bootstrap against its closed form, splits, failed and doubled rows."""

import math

import numpy as np
import pandas as pd
import pytest

from bench.errors import UserError
from bench.report import intervals, means
from bench.report.quantities import SPEEDS, of_metric
from bench.store.rows import load_rows
from metrics.quantities import Quantity

CELL = {"data": "toy", "model": "resnet50", "method": "la", "metric": "unified"}
DRAWS = 2000
UNIFIED = of_metric("unified")


def row(image_id, insertion, deletion=0.0, *, confidence=0.9, status="ok", run_id="a1", score=None, seconds=0.5):
    scalars = {"run_id": run_id, "image_id": image_id, "status": status, "confidence": confidence}
    return scalars | {"insertion": insertion, "deletion": deletion, "score": score, "seconds_attribution": seconds}


def save(results, rows, part="part-0", **cell):
    """One parquet part, laid out as the row store lays it out."""
    where = CELL | cell
    folder = results / "rows" / "/".join(f"{key}={value}" for key, value in where.items())
    folder.mkdir(parents=True, exist_ok=True)
    floats = dict.fromkeys(["confidence", "insertion", "deletion", "score", "seconds_attribution"], float)
    pd.DataFrame(rows).astype(floats).to_parquet(folder / f"{part}.parquet")


def measure(rows, *, run_id="a1", threshold=0.70, quantities=UNIFIED):
    """{(confidence, quantity): its line} of one cell."""
    cells = pd.DataFrame([CELL | {"run_id": run_id, "quantities": quantities}])
    numbers = means.measure(pd.DataFrame(rows), cells, threshold, DRAWS)
    return {(line["confidence"], line["quantity"]): line for line in numbers.to_dict("records")}


def test_interval_is_that_of_the_normal_mean():
    values = np.random.default_rng(5).normal(2.0, 3.0, size=(400, 1))  # noqa: TID251 (a made-up sample)
    low, high = intervals.interval(values, draws=10_000)[:, 0]
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (high - low) / 2 == pytest.approx(half, rel=0.05)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=half / 10)


def test_interval_does_not_depend_on_how_much_is_held_in_memory(monkeypatch):
    values = np.linspace(0, 1, 30)[:, None]
    at_once = intervals.interval(values, draws=1000)
    monkeypatch.setattr(intervals, "RESAMPLED_AT_ONCE", 300)  # ten draws at a time
    np.testing.assert_array_equal(intervals.interval(values, draws=1000), at_once)


def test_numbers_do_not_depend_on_the_order_of_the_rows():
    rows = [row(f"{i}", 0.1 * (i * 7 % 11), 0.03 * (i * 5 % 13)) for i in range(12)]
    assert str(measure(rows)) == str(measure(rows[::-1]))


def test_gap_is_insertion_minus_deletion_image_by_image():
    rows = [row("a", 0.5, 0.1), row("b", 0.7, 0.3), row("c", 0.9, 0.5)]
    gap = measure(rows)["all", "gap"]
    assert [gap["mean"], gap["ci_low"], gap["ci_high"]] == pytest.approx([0.4] * 3)  # the scores spread, gaps do not


def test_the_threshold_itself_is_high():
    found = measure([row("a", 0.2, confidence=0.6999), row("b", 0.6, confidence=0.70), row("c", 0.8, confidence=0.71)])
    assert found["low", "insertion"]["mean"] == 0.2
    assert found["high", "insertion"]["mean"] == pytest.approx(0.7)
    assert measure([row("b", 0.6, confidence=0.70)], threshold=0.71)["low", "insertion"]["n"] == 1


def test_one_image_has_no_interval_and_no_image_no_mean():
    found = measure([row("a", 0.2, confidence=0.1)])
    assert found["low", "insertion"]["mean"] == 0.2
    assert np.isnan(found["low", "insertion"]["ci_low"])
    assert np.isnan(found["high", "insertion"]["mean"])
    assert found["high", "insertion"]["n"] == 0


def test_failed_images_are_counted_and_not_averaged():
    nothing = {"status": "failed", "deletion": None}
    rows = [row("a", 0.2), row("b", None, **nothing), row("c", None, confidence=None, **nothing)]
    found = measure(rows)
    assert (found["all", "insertion"]["mean"], found["all", "insertion"]["n"]) == (0.2, 1)
    assert found["all", "insertion"]["failed"] == 2
    assert found["high", "insertion"]["failed"] == 1  # the other was never classified


def test_two_runs_of_one_cell_are_not_mixed():
    rows = [row("a", 0.2), row("a", 0.8, run_id="b2")]
    assert measure(rows)["all", "insertion"]["mean"] == 0.2
    assert measure(rows, run_id="b2")["all", "insertion"]["mean"] == 0.8
    assert measure(rows, run_id=None)["all", "insertion"]["n"] == 0


def test_a_metric_with_one_value():
    found = measure(
        [row("a", None, None, score=2.0), row("b", None, None, score=4.0)], quantities=of_metric("infidelity")
    )
    assert found["all", "score"]["mean"] == 3.0


def test_partition_values_come_back_as_strings(tmp_path):
    save(tmp_path, [row("a", 0.2)], model="007", data="1.50")
    loaded = load_rows(tmp_path).iloc[0]
    assert (loaded["model"], loaded["data"]) == ("007", "1.50")


def test_a_row_written_twice_is_kept_once_and_a_scored_one_is_preferred(tmp_path):
    save(tmp_path, [row("a", 0.2), row("b", 0.4)])
    save(tmp_path, [row("a", 0.2), row("b", None, None, status="failed")], part="part-1")
    loaded = load_rows(tmp_path)
    assert list(loaded["image_id"]) == ["a", "b"]
    assert list(loaded["status"]) == ["ok", "ok"]


def test_half_written_files_are_not_read(tmp_path):
    save(tmp_path, [row("a", 0.2)])
    save(tmp_path, [row("b", 0.4)], part=".part-1")
    assert list(load_rows(tmp_path)["image_id"]) == ["a"]


def test_no_rows_is_an_empty_table(tmp_path):
    assert load_rows(tmp_path).empty


def test_images_a_second_are_those_of_the_mean_seconds():
    found = measure([row("a", 0.2, seconds=0.1), row("b", 0.2, seconds=0.3)], quantities=SPEEDS)["all", "fps"]
    assert found["mean"] == pytest.approx(5.0)  # not the mean of 10 and 3.3
    assert math.isnan(found["ci_low"]) and math.isnan(found["ci_high"])  # images of a batch share their seconds


def test_a_number_that_no_row_has_is_an_error():
    with pytest.raises(UserError, match="Sparsity: rows have no sparsity"):
        measure([row("a", 0.2)], quantities={"sparsity": Quantity("Sparsity", "high")})
