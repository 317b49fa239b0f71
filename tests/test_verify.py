"""Rows computed again: equal where nobody touched them, and one altered row is found."""

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from jobs import complete, small_job

from bench.errors import UserError
from bench.store.compact import compact
from bench.verify import main

CHOICE = ["method=sm", "compute.batch_size=2", "metric=[unified]", "metric.unified.step=384", "data.limit=5"]


@pytest.fixture
def run(tmp_path):
    """Its results, id and record."""
    job = small_job(tmp_path, *CHOICE)
    job.record("unified")
    complete(job)
    return tmp_path, job.run_id("unified"), tmp_path / "runs" / f"{job.run_id('unified')}.yaml"


def verify(results, run_id, *arguments):
    return main([run_id, f"paths.results={results}", "builders=conftest.Cnn", *arguments])


def alter(results, image, **values):
    (file,) = (results / "rows").rglob("*.parquet")
    rows = pq.ParquetFile(file).read().to_pandas()
    for name, value in values.items():
        rows.loc[rows["image_id"] == image, name] = value
    rows.to_parquet(file)


def test_rows_that_nobody_touched_are_equal_and_nothing_is_written(run, capsys):
    results, run_id, _ = run
    before = {file: file.stat().st_mtime_ns for file in results.rglob("*")}
    assert verify(results, run_id[:6], "images=3", "seed=1") == 0
    said = capsys.readouterr().out
    assert (
        "3 of 5 scored images" in said and "3 of 3 rows equal bit for bit" in said and "Within rounding noise" in said
    )
    assert {file: file.stat().st_mtime_ns for file in results.rglob("*")} == before


@pytest.mark.parametrize("change", [{"insertion": 0.123}, {"confidence": 0.9}, {"target": 99}], ids=str)
def test_one_altered_row_is_found(run, capsys, change):
    results, run_id, _ = run
    alter(results, "synthetic-00003", **change)
    assert verify(results, run_id, "images=all") == 1
    assert f"Not within rounding noise: synthetic-00003 ({next(iter(change))})." in capsys.readouterr().out


def test_elsewhere_rounding_is_measured_and_a_row_beyond_it_is_found_all_the_same(run, capsys):
    results, run_id, file = run
    record = yaml.safe_load(file.read_text())
    record["device"] |= {"name": "another processor", "batch_size": 3}
    file.write_text(yaml.safe_dump(record))
    assert verify(results, run_id, "images=all") == 0
    assert "10 times what batch sizes of 1 and 2 change" in (said := capsys.readouterr().out) and "(device)" in said
    alter(results, "synthetic-00003", deletion=0.123)
    assert verify(results, run_id, "images=all") == 1
    assert "synthetic-00003 (deletion)" in capsys.readouterr().out


def test_an_image_that_changed_since_is_not_compared(run):
    results, run_id, _ = run
    alter(results, "synthetic-00003", insertion=0.5, fingerprint="of another picture")
    assert verify(results, run_id, "images=all") == 0


def test_of_a_store_without_curves_all_else_is_compared(run, capsys):
    results, run_id, _ = run
    compact(results, curves=False)
    assert verify(results, run_id, "images=all") == 0
    said = capsys.readouterr().out
    assert "5 of 5 rows equal bit for bit" in said and "insertion_curve not in this store" in " ".join(said.split())
    alter(results, "synthetic-00003", insertion=0.123)
    assert verify(results, run_id, "images=all") == 1


def test_one_curve_that_is_gone_is_found(run, capsys):
    results, run_id, _ = run
    alter(results, "synthetic-00003", insertion_curve=None)
    assert verify(results, run_id, "images=all") == 1
    assert "synthetic-00003 (insertion_curve)" in capsys.readouterr().out


def test_rows_of_a_gpu_are_verified_on_one(run, monkeypatch):
    results, run_id, file = run
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    record = yaml.safe_load(file.read_text())
    record["device"] |= {"type": "cuda", "name": "NVIDIA H200"}
    file.write_text(yaml.safe_dump(record))
    with pytest.raises(UserError, match=r"made on a GPU \(NVIDIA H200\): verify it where torch sees one"):
        verify(results, run_id)


def test_what_cannot_be_verified_is_said(run, monkeypatch):
    results, run_id, file = run
    for arguments, sentence in (
        (["nobody"], "nobody is the start of no run"),
        ([], "Which run"),
        ([run_id, "images=0"], "images=0"),
        ([run_id, "image=3"], "takes no image"),
        ([run_id, "data.root=elsewhere"], "data=synthetic, of this run, takes no root"),
    ):
        with pytest.raises(UserError, match=sentence):
            main([*arguments, *([f"paths.results={results}"] if arguments else [])])
    record = yaml.safe_load(file.read_text())
    record["config"]["run"]["seed"] = 1
    file.write_text(yaml.safe_dump(record))
    with pytest.raises(UserError, match="is another run here, which differs in seed"):
        verify(results, run_id)
    assert len(pd.read_parquet(results / "rows")) == 5
