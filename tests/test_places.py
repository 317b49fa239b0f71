"""Where things lie: `~`, folders that cannot be written, disks that are full, records cut short, long names of images."""

import errno
import subprocess
import sys

import made
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from jobs import SMALL, coarse, complete, rows_of, small_job
from omegaconf import OmegaConf

from bench import run
from bench.choices import ROOT
from bench.config import configured, load
from bench.errors import UserError
from bench.experiments.sweep import _left
from bench.running.work import missing
from bench.store import records
from bench.store.atomic import writable
from bench.store.maps import Maps
from bench.typed import PATHS

FEW = ["method=sm", "data.limit=4", "compute.batch_size=2"]
FAST = [*FEW, "metric=[unified]", "metric.unified.step=1024"]
LONG = ["ä" * 120 + "1", "ä" * 120 + "2", "b" * 240]  # names of files; folders make ids of them that are longer


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_home_is_meant_on_a_command_line_quoted_or_not(home):
    for word in ("~/x", '"~/x"', "'~/x'"):
        cfg = load(
            ["data=imagenet", "method=precomputed", *(f"{key}={word}" for key in PATHS if key != "data.path")]
        ).cfg
        assert {OmegaConf.select(cfg, key) for key in PATHS if key != "data.path"} == {f"{home}/x"}


def test_home_is_meant_in_a_file(home):
    cfg = load([]).cfg
    names = {"data": "synthetic", "model": "tiny", "method": "ig"}
    cfg.model.weights, cfg.paths.results = "~/w.safetensors", "~"
    cfg = configured(cfg, names, []).cfg
    assert (cfg.model.weights, cfg.paths.results) == (f"{home}/w.safetensors", str(home))


def test_a_sweep_makes_no_folder_called_home(home, tmp_path):
    arguments = [*SMALL[:1], *FAST, "data.limit=1", "model.size=32", "compute.device=cpu", "paths.results=~/here"]
    command = [sys.executable, "-m", "bench.run", "-m", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "HOME": str(home)}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert [place.name for place in tmp_path.iterdir()] == ["here"]


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_results_that_are_a_file_are_refused_before_anything_is_built(tmp_path, monkeypatch, below):
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr("bench.running.job.open_network", lambda _: pytest.fail("a network was built"))
    with pytest.raises(UserError, match="paths.results=.*taken is no folder.*: name another folder"):
        small_job(tmp_path / f"taken{below}", *FAST)


def test_results_that_cannot_be_written_are_refused(tmp_path, monkeypatch):
    def denied(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("bench.store.atomic.tempfile.TemporaryFile", denied)
    with pytest.raises(UserError, match="Permission denied"):
        small_job(tmp_path / "new", *FAST)
    assert not (tmp_path / "new").exists()


def test_a_disk_that_fills_up_loses_nothing_that_was_written(tmp_path, monkeypatch):
    job, write, calls = small_job(tmp_path, *FAST), pq.write_table, []

    def until_full(table, path):
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"PAR1")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, path)

    monkeypatch.setattr(pq, "write_table", until_full)
    with pytest.raises(UserError, match="cannot be written .No space left on device.: make room"):
        complete(job)
    assert len(rows_of(tmp_path)) == 2  # the first batch
    assert [file for file in tmp_path.rglob("*") if file.name.startswith(".")] == []
    monkeypatch.undo()
    assert complete(small_job(tmp_path, *FAST)) == 2
    assert len(rows_of(tmp_path)) == 4


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.97])
def test_a_record_cut_short_is_passed_over_and_written_anew(tmp_path, capsys, share):
    for metric in ("unified", "kl"):
        job = small_job(tmp_path, *FEW, f"metric=[{metric}]")
        complete(job)
        job.record(metric)
    whole = (tmp_path / "runs" / f"{job.run_id('kl')}.yaml").read_text()
    broken = tmp_path / "runs" / f"{job.run_id('kl')}.yaml"
    broken.write_text(whole[: int(share * len(whole))])
    assert [record["cell"]["metric"] for record in records.load_runs(tmp_path).values()] == ["unified"]
    assert str(broken) in capsys.readouterr().err
    run.carry_out(small_job(tmp_path, *FEW, "metric=[kl]"))  # all rows are there
    again = yaml.safe_load(broken.read_text())
    assert again["identity"] == yaml.safe_load(whole)["identity"] and len(records.load_runs(tmp_path)) == 2


@pytest.mark.parametrize("content", [b"", b"- a\n", b"\xff\xfe", b"run_id: [", b"text"])
def test_what_is_no_record_is_passed_over(tmp_path, content, capsys):
    made_by_hand = {"run_id": "a"}
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.yaml").write_text(yaml.safe_dump(made_by_hand))
    (tmp_path / "runs" / "b.yaml").write_bytes(content)
    assert records.load_runs(tmp_path) == {"a": made_by_hand}
    assert "b.yaml" in capsys.readouterr().err


def test_maps_of_images_with_long_ids_are_kept_found_and_scored_again(tmp_path):
    root = made.folder(tmp_path / "pictures", [f"{'c' * 100}/{name}.png" for name in LONG])
    data = ["data=folder", f"data.root={root}", "data.limit=null"]
    kept = [*FAST, *data, "run.save_attributions=true"]
    job = small_job(tmp_path / "results", *kept)
    job.record("unified")
    assert complete(job) == 3 and len(list(job.maps.folder.glob("*.npy"))) == 3
    assert job.maps.among([*job.ids, "nobody"]) == set(job.ids) and missing(job) == {}
    again = load(coarse(*SMALL, f"paths.results={tmp_path / 'results'}", *kept))
    assert _left([again], [job.ids], [records.load_runs(job.results)], job.results) == [0]
    made_elsewhere = [*FAST, *data, "method=precomputed", f"method.root={job.maps.folder}"]
    complete(small_job(tmp_path / "again", *made_elsewhere))
    columns = ["image_id", "status", "insertion", "deletion"]
    assert rows_of(tmp_path / "again")[columns].equals(rows_of(tmp_path / "results")[columns])
    job.maps.drop(job.ids[:1])
    assert job.maps.among(job.ids) == set(job.ids[1:])


def test_long_ids_that_start_alike_have_maps_of_their_own(tmp_path):
    maps, ids = Maps(tmp_path, "a"), ["猫" * 200 + end for end in ("1", "2")]
    maps.put({image: np.full((3, 2, 2), k, np.float32) for k, image in enumerate(ids)})
    assert [maps.get(image).max() for image in ids] == [0, 1]


def test_an_id_that_fits_is_its_files_name(tmp_path):
    maps = Maps(tmp_path, "a")
    maps.put({"n__cat 1": np.zeros((3, 2, 2), np.float32)})
    assert [file.name for file in maps.folder.iterdir()] == ["n__cat 1.npy"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda record: record["identity"].update(later=1), "its identity has later"),
        (lambda record: record["identity"].pop("method"), "its identity has no method"),
        (lambda record: record.update(identity="word"), "its identity is a str"),
        (lambda record: record.update(device="word"), "its device is a str"),
        (lambda record: record.update(continued="word"), "its continued is a str"),
        (lambda record: record.pop("cell"), "it has no cell"),
        (lambda record: record.pop("config"), "it has no config"),
        (lambda record: record.pop("versions"), "it has no versions"),
    ],
)
def test_a_record_of_another_form_is_passed_over(change, why, tmp_path, capsys):
    job = small_job(tmp_path, "method=sm", "metric=[sparseness]", "data.limit=1")
    job.record("sparseness")
    (file,) = (tmp_path / "runs").glob("*.yaml")
    assert [*records.load_runs(tmp_path)] == [file.stem]
    record = yaml.safe_load(file.read_text())
    change(record)
    file.write_text(yaml.safe_dump(record, sort_keys=False))
    assert records.load_runs(tmp_path) == {}
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("part", ["rows", "runs", "attributions"])
def test_a_file_where_a_part_of_the_results_goes_is_told_before_anything_is_computed(tmp_path, part):
    (tmp_path / part).touch()
    with pytest.raises(UserError, match=f"{part} is no folder; name another folder"):
        writable(tmp_path)
