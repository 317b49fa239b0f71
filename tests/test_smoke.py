"""The smoke run: it calls what make calls, for every table and figure, and sees what is missing."""

import fnmatch
import importlib.util
import re
import subprocess
import sys

import pytest

from bench.choices import CONF, ROOT

spec = importlib.util.spec_from_file_location("smoke", ROOT / "scripts" / "smoke.py")
smoke = importlib.util.module_from_spec(spec)
spec.loader.exec_module(smoke)
HEADER = "row,confidence,n,failed\n"


def make(*arguments):
    return subprocess.run(["make", "-n", "VENV=nowhere", *arguments], cwd=ROOT, capture_output=True, text=True).stdout


def test_it_calls_what_make_calls_and_sets_nothing_up():
    text = make("la-fig7", "MODELS=tiny", "LIMIT=2", "ARGS=model.size=32")
    assert "pip install" in text
    run, report = smoke.commands(text)
    assert (run[:2], report[:2]) == (["-m", "bench.run"], ["-m", "bench.report"])
    wanted = {"experiment=la_fig7", "experiment.models=[tiny]", "data.limit=2", "model.size=32"}
    assert wanted <= set(run) and wanted <= set(report)


def test_it_is_given_every_experiment():
    lines = [line for line in make("smoke").splitlines() if "scripts/smoke.py" in line]
    names = {path.stem.replace("_", "-") for path in (CONF / "experiment").glob("*.yaml")} - {"demo"}
    circles = {name for name in names if name.startswith("reference-")}  # of one command: tests/test_reference.py
    assert circles < names and names - circles <= set(" ".join(lines).split())


def test_it_is_given_every_method_once():
    line = next(line for line in make("smoke").splitlines() if "LETTERS" in line)
    names = sorted(path.stem for path in (CONF / "method").glob("*.yaml"))
    parts = [fnmatch.filter(names, pattern) for pattern in re.findall(r"'(\[.-.\]\*)'", line)]
    assert len(parts) > 1 and sorted(name for part in parts for name in part) == names


def write(folder, name, *endings, table="sm,all,2,0\n"):
    for ending in endings:
        (folder / f"{name}.{ending}").write_text(HEADER + table)


@pytest.mark.parametrize("gone", ["md", "csv", "tex", "png", "pdf"])
def test_a_missing_file_is_named(tmp_path, gone):
    write(tmp_path, "la_fig7", *({"md", "csv", "tex", "png", "pdf"} - {gone}))
    assert smoke.lacking(tmp_path, "la-fig7") == [f"no la_fig7.{gone}"]


def test_a_table_needs_no_picture_and_a_figure_that_is_no_experiment_no_table(tmp_path):
    write(tmp_path, "la_table1", "md", "csv", "tex")
    write(tmp_path, "la_fig2", "png", "pdf")
    assert smoke.lacking(tmp_path, "la-table1") == smoke.lacking(tmp_path, "la-fig2") == []


@pytest.mark.parametrize("line", ["sm,all,0,0\n", "sm,all,1,1\n"])
def test_a_cell_that_was_not_run_or_failed_is_named(tmp_path, line):
    write(tmp_path, "la_table1", "md", "csv", "tex", table="ig,all,2,0\n" + line)
    assert smoke.lacking(tmp_path, "la-table1") == ["not run: sm"]


def test_a_failing_command_fails_the_target(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(smoke, "recipe", lambda make, target: "python -m bench.run\n")
    monkeypatch.setattr(smoke, "call", lambda command: 3)
    write(tmp_path, "x", "png", "pdf")
    (tmp_path / "report").mkdir()
    write(tmp_path / "report", "x", "png", "pdf")
    assert smoke.main([str(tmp_path), "make", "--", "x"]) == 1
    assert "exit status 3" in capsys.readouterr().out


def test_a_command_ends_with_its_own_status(tmp_path):
    script = tmp_path / "a.py"
    script.write_text("import sys\nsys.exit({'0': 0, '2': 2}.get(sys.argv[1], sys.argv[1]))")
    was = list(sys.argv)
    assert [smoke.call([str(script), word]) for word in ("0", "2", "error: no")] == [0, 2, 1]
    assert sys.argv == was
