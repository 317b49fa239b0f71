"""The forecast counts what the run will count."""

import pytest
from cells import complete, rows_of, small_cell

from bench.forecast import duration, forecast


@pytest.mark.parametrize("method", ["ig", "sm", "gradcam", "random", "la", "attexplore_naa"])
def test_passes_are_those_that_the_rows_will_show(method, tmp_path):
    cell = small_cell(tmp_path, f"method={method}", "metric=[unified,kl,pixel]", "data.limit=2", "compute.batch_size=2")
    said = forecast(cell, list(cell.metrics))
    complete(cell)
    rows = rows_of(tmp_path)
    assert set(rows["forward_passes"]) == {said.forward}
    assert set(rows["backward_passes"]) == {said.backward}
    points = len(rows["insertion_curve"][0]) - 2
    assert said.scoring == 2 * 2 * points + 2


def test_methods_that_stop_early_are_forecast_at_their_most(tmp_path):
    assert forecast(small_cell(tmp_path, "method=mfaba"), []).backward == 50


def test_durations_read_well():
    assert [duration(s) for s in (7.4, 180, 36000)] == ["7 s", "3 min", "10.0 h"]
