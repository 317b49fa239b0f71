"""The command, as a user types it."""

import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from jobs import SMALL

from bench.choices import ROOT
from bench.report import __main__ as report
from bench.run import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Exit status, standard output and standard error of `python -m bench.run ARGUMENTS`, within this process."""

    def run(*arguments):
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["bench/run.py", *arguments])
        monkeypatch.setattr("hydra._internal.utils.is_under_debugger", lambda: False)  # it takes coverage for one
        status = 0
        try:
            main()
        except SystemExit as stop:  # a message instead of a number: the interpreter prints it and exits with 1
            status = stop.code if isinstance(stop.code, int) else 1
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_in_a_process_of_its_own(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bench.run", *SMALL, "method=random", "data.limit=2", f"paths.results={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    assert done.returncode == 0, done.stderr
    assert "insertion" in done.stdout
    assert {file.name for file in tmp_path.iterdir()} == {"rows", "runs"}


def test_a_sweep_then_nothing_left_to_do_then_a_report(run, tmp_path):
    choice = [*SMALL, "metric=[unified,kl]", "data.limit=3", f"paths.results={tmp_path}"]
    status, out, err = run("-m", "method=sm,random", *choice)
    assert status == 0, err
    assert "each 1 forward and 1 backward pass of" in err
    assert "unified" in out
    status, _, err = run("method=sm", *choice)
    assert status == 0
    assert "Nothing to compute. There already: 3 images." in err
    _, _, err = run("method=sm", *choice, "data.limit=5")
    assert "There already: 3 images. To do: 2 images" in err
    assert len(pd.read_parquet(tmp_path / "rows")) == 16
    report.main([f"paths.results={tmp_path}"])
    assert (tmp_path / "report" / "summary.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["model=resnet5O"], "resnet50"),
        (["model=resnet50", "model.weights=/nowhere.pth"], "error: There is no weight file /nowhere.pth."),
        (["model=torchvision"], "error: model.name must be given"),
        (["method=ig", "+method.step=3"], "step"),
        (["data=folder"], "data.root"),
        (["data.ids=[nobody]"], "nobody"),
        (["compute.device=cuda:99"], "error: compute.device=cuda:99"),
        (["compute.precision=fp8"], "error: compute.precision=fp8"),
        (["run.target=truth"], "error: run.target=truth"),
        (["run.shard=4/4"], "error: run.shard=4/4"),
        (["metric.unified.order=elements"], "elements"),
        (["method=la", "method.space=cubic"], "cubic"),
        (["metric=[localisation]", "data=photos"], "masks"),
        (["metric=[]"], "error: metric=[] scores nothing"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(run, arguments, sentence, tmp_path):
    status, _, err = run(*arguments, f"paths.results={tmp_path}")
    assert status == 1
    assert sentence in err
    assert "Traceback" not in err


def test_a_broken_image_ends_with_1_and_says_so(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"nothing")
    status, _, err = run(
        *SMALL, "method=random", "data=folder", f"data.root={tmp_path / 'pictures'}", f"paths.results={tmp_path}"
    )
    assert status == 1
    assert "1 image failed. a: " in err
    assert "Traceback" not in err


def test_maps_can_be_kept_without_scoring_them(run, tmp_path):
    choice = [*SMALL, "method=sm", "data.limit=3", "run.save_attributions=true", f"paths.results={tmp_path}"]
    status, out, err = run(*choice, "metric=[]")
    assert status == 0, err
    (folder,) = (tmp_path / "attributions").iterdir()
    assert str(folder) in out and "Rows" not in out
    maps = sorted(folder.glob("*.npy"))
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    assert (len(maps), recipe["attribution_id"], recipe["config"]["metric"]) == (3, folder.name, None)
    assert not (tmp_path / "rows").exists()
    assert "Nothing to compute" in run(*choice, "metric=[]")[2]
    assert run(*choice, "metric=[kl]")[0] == 0  # the same maps, now scored
    assert sorted(folder.glob("*.npy")) == maps
    assert [f.name for f in (tmp_path / "attributions").iterdir()] == [folder.name]


def test_a_map_that_nobody_scores_and_that_cannot_be_made_is_a_failure_too(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"nothing")
    choice = ["data=folder", f"data.root={tmp_path / 'pictures'}", "metric=[]", "run.save_attributions=true"]
    status, _, err = run(*SMALL, "method=random", *choice, f"paths.results={tmp_path}")
    assert status == 1
    assert "1 image failed. a: " in err


def test_in_a_sweep_the_other_cells_are_run(run, tmp_path):
    status, _, err = run(
        "-m",
        "model.weights=/nowhere.pth,random",
        "method=random",
        "data.limit=2",
        f"paths.results={tmp_path}",
        *SMALL[:2],
        *SMALL[3:],
    )
    assert status == 1
    assert "no weight file" in err
    assert len(pd.read_parquet(tmp_path / "rows")) == 2
