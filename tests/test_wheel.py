"""A wheel, in an environment of its own and folders without a checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from bench.choices import ROOT

SMALL = ["data.limit=2", "model.size=32", "compute.workers=0", "metric.unified.step=768"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The command's place, in an environment that borrows all libraries but not this checkout."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source = place / "source"
    skipped = shutil.ignore_patterns(".*", "build", "results", "*.egg-info", "__pycache__", "site")
    shutil.copytree(ROOT, source, ignore=skipped)
    shutil.copytree(ROOT / "results" / "published", source / "results" / "published")
    made = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", place, source]
    if subprocess.run(made, capture_output=True).returncode:
        pytest.skip("setuptools is not there to build a wheel")
    venv.create(place / "venv", symlinks=True)
    libraries = next((place / "venv").glob("lib/python*/site-packages"))
    (libraries / "borrowed.pth").write_text(
        sysconfig.get_path("purelib")
    )  # a path alone: its own .pth files are not read
    python = place / "venv" / "bin" / "python"
    (wheel,) = place.glob("*.whl")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True, capture_output=True)
    return python.with_name("heatproof")


def run(program: Path, *words: str, cwd: Path) -> str:
    done = subprocess.run(
        [program, *words], cwd=cwd, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_works_in_an_empty_folder(installed, tmp_path):
    run(installed, "new", "method", "mine", cwd=tmp_path)
    assert "n     2" in run(installed, "run", "method=mine", "model=tiny", "data=synthetic", *SMALL, cwd=tmp_path)
    listed = run(installed, "list", "methods", cwd=tmp_path)
    assert "mine*" in listed and "[Pan et al. 2021]" in listed
    assert "commit unknown" in run(installed, "report", cwd=tmp_path)
    where = "import bench, heatproof; print(bench.__file__, heatproof.__file__)"
    assert str(ROOT) not in run(installed.with_name("python"), "-c", where, cwd=tmp_path)


def test_the_papers_and_their_contradictions_travel_with_it(installed, tmp_path):
    code = (
        "from bench.papers import contradictions, printed; print(len(printed.cells()), len(contradictions.entries()))"
    )
    cells, entries = map(int, run(installed.with_name("python"), "-c", code, cwd=tmp_path).split())
    assert cells > 1000 and entries > 10


def test_somebody_elses_project_passes_its_own_test(installed, tmp_path):
    project = tmp_path / "own_method"
    shutil.copytree(ROOT / "examples" / "own_method", project, ignore=shutil.ignore_patterns("__pycache__", "results"))
    pytest_of_theirs = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    assert "3 passed" in run(installed.with_name("python"), *pytest_of_theirs, cwd=project)
