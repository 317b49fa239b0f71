"""scripts/faults.py, small: after each fault rows and maps are those of a run that nobody disturbed. And it sees a loss."""

import signal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts import faults


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return faults.Bench(tmp_path_factory.mktemp("faults"), images=6, seed=0)


@pytest.mark.parametrize(
    "fault", [faults.signals, faults.full_disk, faults.broken_files, faults.records_gone, faults.two_at_once]
)
def test_nothing_is_lost(bench, fault):
    outcome = fault(bench)
    assert (outcome.lost, outcome.differ, outcome.maps) == (0, 0, 0)


def test_a_killed_run_goes_on_where_it_was(bench):
    outcome = faults.kills(bench, 3)
    assert (outcome.lost, outcome.differ, outcome.twice, outcome.maps) == (0, 0, 0, 0)


def test_what_is_lost_or_altered_is_seen(bench):
    results = bench.new()
    assert bench.run(results) == 0
    assert faults.compared(results, bench.whole) == (0, 0, 0, 0)
    next((results / "attributions").rglob("*.npy")).write_bytes(b"")
    next((results / "runs").glob("*.yaml")).unlink()
    assert faults.compared(results, bench.whole) == (1, 0, 0, 1)
    file = faults.parts_of(results)[0]
    rows = pq.ParquetFile(file).read()
    other = pa.array([0.25], rows.schema.field("insertion").type)
    first = rows.slice(0, 1).set_column(rows.schema.get_field_index("insertion"), "insertion", other)
    pq.write_table(pa.concat_tables([first, rows.slice(2)]), file)
    assert faults.compared(results, bench.whole) == (2, 1, 0, 1)


def test_a_run_that_is_killed_ends_by_the_signal(bench):
    assert bench.struck(bench.new(), 0.0) == -signal.SIGKILL
