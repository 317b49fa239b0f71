"""Rows of before ids were made as now are found again."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from jobs import complete, rows_of, small_job

from bench.running.work import missing
from bench.store.migrate import main, migrate

FAST = ["method=sm", "compute.batch_size=2", "metric=[unified]", "metric.unified.step=384", "data.limit=2"]


def age(results, job):
    """What the store held before: another id, no identity, builders that lay elsewhere."""
    new = job.run_id("unified")
    file = results / "runs" / f"{new}.yaml"
    record = yaml.safe_load(file.read_text().replace("methods.sm.", "methods.elsewhere."))
    del record["identity"], record["format"]
    record |= {"run_id": "0" * 16, "attribution_id": "1" * 16}
    (results / "runs" / f"{'0' * 16}.yaml").write_text(yaml.safe_dump(record))
    file.unlink()
    for part in (results / "rows").rglob("*.parquet"):
        table = pq.ParquetFile(part).read()
        table = table.set_column(0, "run_id", pa.array(["0" * 16] * len(table)))
        pq.write_table(table, part.with_name(part.name.replace(new, "0" * 16)))
        part.unlink()
    job.maps.folder.rename(job.maps.folder.with_name("1" * 16))


@pytest.fixture
def aged(tmp_path):
    job = small_job(tmp_path, *FAST, "run.save_attributions=true")
    job.record("unified")
    complete(job)
    before = rows_of(tmp_path)
    age(tmp_path, job)
    return before


def test_a_run_of_before_is_found_again_with_its_maps(tmp_path, aged):
    moved, left = migrate(tmp_path, ["conftest.Cnn"])
    assert (len(moved), left) == (1, {})
    assert missing(small_job(tmp_path, *FAST, "run.save_attributions=true")) == {}
    pd.testing.assert_frame_equal(rows_of(tmp_path), aged)
    assert len(list((tmp_path / "attributions").rglob("*.npy"))) == 2
    assert [file.stem for file in (tmp_path / "runs").glob("*.yaml")] == list(moved.values())
    assert migrate(tmp_path, ["conftest.Cnn"]) == ({}, {})


def test_a_run_that_is_something_else_by_now_stays_and_is_named(tmp_path, aged, capsys):
    file = tmp_path / "runs" / f"{'0' * 16}.yaml"
    record = yaml.safe_load(file.read_text())
    record["weights"]["digest"] = "other"
    file.write_text(yaml.safe_dump(record))
    assert main([str(tmp_path), "conftest.Cnn"]) == 1
    assert "its weights was other and is" in capsys.readouterr().out
    assert file.exists() and set(rows_of(tmp_path)["run_id"]) == {"0" * 16}
