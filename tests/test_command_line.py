"""Paths and ids reach the configuration as they were typed, whatever Hydra's grammar makes of them."""

import subprocess
import sys

import made
import pytest

from bench.config import ROOT, as_typed, load
from bench.errors import UserError


@pytest.mark.parametrize(
    "ids",
    [["1_1"], ["2007_000032", "000012"], ["1e5", "null", "true", "a b"], ["Käfer (2)", "a=b", "猫", "x#1", "a\\b"]],
)
def test_ids_are_what_was_typed(ids):
    assert load([f"data.ids=[{','.join(ids)}]"]).cfg.data.ids == ids
    assert load([f"data.ids={ids[0]}"]).cfg.data.ids == ids[0] or ids[0] == "null"


@pytest.mark.parametrize(
    "override",
    ["data.ids=null", "data.ids=[]", "data.ids=['1_1']", 'data.ids=["a,b"]', "data.ids=[a],[b]", "-m", "~metric"],
)
def test_what_hydra_understands_stays(override):
    assert as_typed([override]) == [override]


def test_a_sweep_over_ids_stays_one():
    assert as_typed(["data.ids=1_1,2"]) == ['data.ids="1_1","2"']


ROOTS = ["/tmp/a=b", "/tmp/ä/猫", "/tmp/(1)", "~/x", "/a'b", '/a"b', "/a {b}\\", "2012_01", "1e5", "/a b"]


@pytest.mark.parametrize("root", ROOTS)
def test_a_path_is_what_was_typed(root):
    typed = as_typed([f"data.root={root}", f"paths.results={root}"])
    assert as_typed(typed) == typed
    cfg = load(["data=folder", *typed]).cfg
    assert cfg.data.root == root and cfg.paths.results == root


def test_another_value_that_hydra_cannot_read_says_how_to_quote_it():
    with pytest.raises(UserError, match=r"""^report.title=a\(b: .* 'report.title="a\(b"'$"""):
        load(["report.title=a(b"])


def test_a_run_takes_such_a_path_and_such_an_id(tmp_path):
    root = made.folder(tmp_path / "ü=(1)", ["11.png", "1_1.png"])
    arguments = ["model=tiny", "data=folder", f"data.root={root}", "data.ids=[1_1]", f"paths.results={tmp_path / 'o'}"]
    command = [sys.executable, "-m", "bench.run", *arguments, "method=sm", "metric=[]", "run.save_attributions=true"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (tmp_path / "o").rglob("*.npy")] == ["1_1.npy"]
