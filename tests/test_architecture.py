"""Arrows point one way. What may import what, wing by wing; the ground (GROUND) may be imported by all."""

import ast
import sys

import pytest

from bench.choices import ROOT

GROUND = {
    "bench",
    "bench.types",
    "bench.rng",
    "bench.exact",
    "bench.seeds",
    "bench.errors",
    "bench.config",
    "bench.text",
    "bench.notes",
    "bench.passes",
}
GROUND |= {
    "bench.ranges",
    "bench.settings",
    "bench.build",
    "bench.cli",
    "bench.cores",
    "bench.filename",
    "bench.modules",
    "bench.markup",
    "bench.choices",
    "bench.typed",
}
WINGS = {  # folder or module: what of ours it may import beside the ground and itself
    "methods": {
        "bench.types",
        "bench.rng",
        "bench.exact",
        "bench.errors",
        "bench.ranges",
        "bench.notes",
        "bench.passes",
        "bench.filename",
    },
    "metrics": {
        "bench.types",
        "bench.rng",
        "bench.exact",
        "bench.errors",
        "bench.ranges",
        "bench.modules",
        "bench.passes",
    },
    "bench.images": GROUND,
    "bench.networks": GROUND | {"bench.images.preprocessing"},
    "bench.store": GROUND | {"metrics.quantities"},
    "bench.store.migrate": GROUND | {"bench.running", "bench.store"},  # a command: it opens jobs
    "bench.papers": GROUND | {"metrics.quantities"},
    "bench.figures": GROUND,
    "bench.running": GROUND | {"bench.images", "bench.networks", "bench.store", "methods", "metrics"},
    "bench.experiments.plan": GROUND,
    "bench.experiments.cells": GROUND | {"bench.experiments.plan"},
    "bench.experiments": GROUND | {"bench.images", "bench.running", "bench.store"},
    "bench.launching": GROUND | {"bench.experiments", "bench.running"},
    "bench.report": GROUND
    | {"bench.store", "bench.papers", "bench.experiments.plan", "bench.experiments.cells", "bench.figures"}
    | {"metrics.quantities"},
}
WINGS["bench.report.__main__"] = WINGS["bench.report"] | {"bench.report", "bench.claims"}  # a command, of another too
ANYTHING = {  # what is started from the command line
    "bench.studies",
    "bench.claims",
    "bench.run",
    "bench.sanity",
    "bench.status",
    "bench.verify",
    "bench.profile",
    "bench.compare",
    "bench.reference",
    "bench.benchmark",
}
PHOTOGRAPHS = {"bench.images"}  # what shows images, and how a report learns which images lie at data.root
ONLY = {  # libraries that a wing may import beside the standard library
    "methods": {"torch", "torchvision", "jaxtyping"},
    "metrics": {"torch", "torchvision", "jaxtyping"},
    "bench.figures": {"numpy", "matplotlib", "PIL"},
}
EXCEPTIONS = {
    "methods.precomputed": {"numpy"},  # reads .npy files
    "methods.parts.diverse_input": {"numpy"},  # what is decided at hand
    "methods.parts.ordered": {"numpy"},  # sorts ten times as fast
    "methods.external.library": {"numpy", "random"},  # sets global generators, and puts them back
}
SHARED = {"methods.parts", "methods.external.library"}
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for package in ("bench", "methods", "metrics")
    for file in sorted((ROOT / package).rglob("*.py"))
}


def imports(path):
    """What a module imports when it is imported."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in whole)


def within(name, places):
    return any(name == place or (place != "bench" and name.startswith(f"{place}.")) for place in places)


def wing_of(module):
    return max((wing for wing in WINGS if within(module, {wing})), key=len, default=None)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_arrows_point_one_way(module):
    wing = wing_of(module)
    if within(module, ANYTHING):
        return
    allowed = WINGS[wing] | {wing} if wing else GROUND
    if module.startswith("bench.report.exhibits") or module == "bench.report.paper_table":
        allowed |= PHOTOGRAPHS
    for name in imports(MODULES[module]):
        top = name.split(".")[0]
        if top in ("bench", "methods", "metrics"):
            assert within(name, allowed), f"{module} imports {name}"
        elif wing in ONLY:
            libraries = ONLY[wing] | EXCEPTIONS.get(module, set())
            known = top in libraries or top in sys.stdlib_module_names - {"random"}
            assert known, f"{module} imports {name}"


def test_no_method_imports_a_method():
    """What several of them share lies in parts."""
    for module, file in MODULES.items():
        if module.startswith("methods.") and not module.startswith("methods.parts"):
            others = [name for name in imports(file) if name.startswith("methods.") and not within(name, SHARED)]
            assert not others, f"{module} imports {others}"


def test_the_loop_stays_one_screen():
    lines = (ROOT / "bench" / "running" / "runner.py").read_text().split("\ndef rows_of")[0].splitlines()
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
