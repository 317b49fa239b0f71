"""The store's commands: small files to large ones, several stores to one."""

import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from jobs import complete, rows_of, small_job
from test_rows import CELL, add

from bench.errors import UserError
from bench.running.work import missing
from bench.store import compact as compacting
from bench.store.__main__ import main
from bench.store.heartbeat import Heartbeat
from bench.store.rows import Rows, load_rows

CHOICE = ["method=sm", "compute.batch_size=2", "metric=[unified]", "metric.unified.step=768", "data.limit=6"]


def files(results):
    return sorted((results / "rows").rglob("*.parquet"))


def test_small_files_become_large_ones_and_no_row_changes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compacting, "ROWS_A_FILE", 10)
    for k in range(12):
        add(Rows(tmp_path, CELL, "r"), f"{k}a", f"{k}b", score=float(k))
        add(Rows(tmp_path, {**CELL, "method": "sm"}, "s"), f"{k}", score=float(k))
    before = load_rows(tmp_path)
    main(["compact", str(tmp_path)])
    assert "24 files of rows before, 5 now." in capsys.readouterr().out
    pd.testing.assert_frame_equal(load_rows(tmp_path), before)
    main(["compact", str(tmp_path)])
    assert "5 files of rows before, 5 now." in capsys.readouterr().out


def test_of_rows_that_stand_twice_the_one_that_a_report_shows_stays(tmp_path):
    for values in ({"score": 2.0}, {"score": 1.0}, {"score": 9.0, "status": "failed"}):
        add(Rows(tmp_path, CELL, "r"), "a", **values)
    before = load_rows(tmp_path)
    main(["compact", str(tmp_path)])
    assert [pq.read_table(file)["score"].to_pylist() for file in files(tmp_path)] == [[2.0]]
    pd.testing.assert_frame_equal(load_rows(tmp_path), before)


def test_a_run_that_is_being_computed_is_left_alone(tmp_path, capsys):
    add(Rows(tmp_path, CELL, "r"), "a")
    add(Rows(tmp_path, CELL, "r"), "b")
    with Heartbeat(tmp_path, CELL, ["r"], 10, 1.0):
        main(["compact", str(tmp_path)])
        assert len(files(tmp_path)) == 2 and "being computed: r." in capsys.readouterr().out
    main(["compact", str(tmp_path)])
    assert len(files(tmp_path)) == 1


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two machines' results, and those of one that did it all."""
    folder = tmp_path_factory.mktemp("made")
    for name, part in (("one", "0/2"), ("two", "1/2"), ("all", "0/1")):
        job = small_job(folder / name, *CHOICE, f"run.shard={part}", "run.save_attributions=true")
        job.record("unified")
        complete(job)
    return folder


@pytest.fixture
def shards(made, tmp_path):
    return shutil.copytree(made, tmp_path / "stores")


def merge(shards, *names):
    return main(["merge", *(str(shards / name) for name in names), "--into", str(shards / "into")])


def record(results):
    (file,) = (results / "runs").glob("*.yaml")
    return file, yaml.safe_load(file.read_text())


def test_two_machines_stores_are_one_that_has_nothing_left_to_do(shards, capsys):
    assert merge(shards, "one", "two") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2] for line in said] == [
        "3 rows taken, 0 there already; 1 record and 3 maps taken; 0 refused."
    ] * 2
    pd.testing.assert_frame_equal(rows_of(shards / "into"), rows_of(shards / "all"))
    assert len(record(shards / "into")[1]["continued"]) == 1
    job = small_job(shards / "into", *CHOICE, "run.save_attributions=true")
    assert missing(job) == {}
    for file in (shards / "all" / "attributions").rglob("*.npy"):
        assert np.array_equal(np.load(file), job.maps.get(file.stem))
    before = {file: file.read_bytes() for file in (shards / "into").rglob("*.*")}
    assert merge(shards, "one", "all", "two") == 0
    assert "0 rows taken, 6 there already" in capsys.readouterr().out
    assert {file.name for file in before} == {file.name for file in (shards / "into").rglob("*.*")}


def test_a_row_or_map_that_contradicts_is_named_and_refused_and_all_else_is_taken(shards, capsys):
    (file,) = files(shards / "all")
    rows = pq.ParquetFile(file).read().to_pandas()
    rows.loc[rows["image_id"] == "synthetic-00002", "insertion"] += 1e-9
    rows.to_parquet(file)
    np.save(next((shards / "all" / "attributions").rglob("*-00004.npy")), np.zeros((3, 32, 32), np.float32))
    assert merge(shards, "one", "all") == 1
    said = capsys.readouterr().out
    assert "3 rows taken, 2 there already" in said and "2 refused" in said
    assert "the rows of synthetic-00002 say something else" in said and "synthetic-00004.npy: another map" in said
    pd.testing.assert_frame_equal(
        rows_of(shards / "into").drop(columns="stamp"),
        pd.concat([rows_of(shards / "one"), rows_of(shards / "two")])
        .sort_values("image_id")
        .reset_index(drop=True)
        .drop(columns="stamp"),
    )


def test_a_score_takes_the_place_of_a_failure_and_not_the_other_way_round(shards):
    _, known = record(shards / "one")
    cell, run_id = known["cell"], known["run_id"]
    store = Rows(shards / "two", cell, run_id)
    add(store, "synthetic-00000", status="failed", error="broken")
    assert merge(shards, "two", "one", "two") == 0
    pd.testing.assert_frame_equal(rows_of(shards / "into"), rows_of(shards / "all"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r["identity"].update(protocol="0"), "of protocol 0, and this program's is"),
        (lambda r: r.update(run_id="0" * 16), "its record is that of another run"),
        (lambda r: r["cell"].update(model="other"), "its record is that of another run"),
        (lambda r: r["identity"].update(seed=5), "says that it is something else"),
        (lambda r: r.clear(), "no record"),
    ],
)
def test_a_run_that_does_not_belong_is_refused(shards, capsys, change, sentence):
    assert merge(shards, "one") == 0
    file, known = record(shards / "two")
    change(known)
    file.write_text(yaml.safe_dump(known))
    assert merge(shards, "two") == 1
    assert sentence in capsys.readouterr().out
    assert len(rows_of(shards / "into")) == 3


@pytest.mark.parametrize("words", [[], ["tidy"], ["merge", "a"], ["merge", "--into", "b"], ["compact", "/nowhere"]])
def test_what_is_meant_is_said(words):
    with pytest.raises(UserError, match="expected: python -m bench.store|holds no rows"):
        main(words)
