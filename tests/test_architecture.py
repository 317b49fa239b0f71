"""Arrows point one way: methods and metrics know the network, types and streams, and nothing of the harness."""

import ast
import sys

import pytest

from bench.config import ROOT

STDLIB = set(sys.stdlib_module_names) - {"random"}
ALLOWED = {"torch", "torchvision", "jaxtyping", "bench.types", "bench.rng", "bench.notes", "bench.errors"} | STDLIB
EXCEPTIONS = {
    "precomputed.py": {"numpy"},  # reads .npy files
    "library.py": {"numpy", "random"},  # sets global generators, and puts them back
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("package", ["methods", "metrics"])
def test_methods_and_metrics_import_nothing_of_the_harness(package):
    for path in (ROOT / package).rglob("*.py"):
        allowed = ALLOWED | EXCEPTIONS.get(path.name, set())
        for name in imports(path):
            known = name in allowed or name.split(".")[0] in allowed or name.split(".")[0] == package
            assert known, f"{path.name} imports {name}"


def test_the_loop_stays_one_screen():
    lines = (ROOT / "bench" / "running" / "runner.py").read_text().split("\ndef judge")[0].splitlines()
    assert len(lines) <= 60


def test_no_module_of_odds_and_ends():
    names = {path.stem for package in ("bench", "methods", "metrics") for path in (ROOT / package).rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "misc"}


def test_every_configured_target_exists():
    from hydra.utils import get_method
    from omegaconf import OmegaConf

    for path in (ROOT / "conf").rglob("*.yaml"):
        for line in path.read_text().splitlines():
            if line.strip().startswith("_target_:"):
                assert callable(get_method(OmegaConf.create(line.strip())._target_)), path
