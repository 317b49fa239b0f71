"""Which run it is does not depend on where code lies or how it is laid out, and does depend on what it does."""

import ast

import pytest

from bench.config import load
from bench.running.job import open_job
from bench.store import code

METHOD = """
import torch


def blank(model, x, target, rng, *, level):
    return torch.full_like(x, level)
"""


@pytest.mark.parametrize(
    ("run_id", "metric", "overrides"),
    [
        ("a058ee619f458fbf", "unified", ["method=sm", "compute.fold=false", "metric.unified.step=672"]),
        ("113e490f83ba9b11", "kl", ["method=la", "compute.fold=false", "metric.kl.step=672"]),
        ("d3b2ce11b6655354", "infidelity", ["method=ig", "run.seed=1", "model.size=32", "compute.fold=false"]),
        ("1cbdcdb29603124f", "unified", ["method=sm", "metric.unified.step=672"]),
        ("1cbdcdb29603124f", "unified", ["method=sm", "model.size=64", "metric.unified.step=672"]),
        ("cde5a65c26a0e68c", "unified", ["method=sm"]),
    ],
)
def test_run_ids_are_what_they_were(run_id, metric, overrides):
    """Whoever changes one makes everybody's rows another run: raise PROTOCOL or a version in shipped.yaml, and say so."""
    settings = ["compute.device=cpu", "compute.batch_size=2", f"metric=[{metric}]"]
    assert open_job(load([*settings, *overrides])).run_id(metric) == run_id


def test_what_ships_is_what_the_manifest_says():
    """After a change: raise the version of what makes other numbers, then `python -m bench.store.code`."""
    assert code.current() == code.shipped()


def test_layout_comments_and_docstrings_are_no_change():
    laid_out = METHOD.replace(", level)", ",\n        level,  # here\n    )").replace(
        ":\n    ret", ':\n    """Blank."""\n    ret'
    )
    assert laid_out != METHOD and code._told(ast.parse(laid_out)) == code._told(ast.parse(METHOD))
    assert code._told(ast.parse("from a.b import c")) == code._told(ast.parse("from d import c"))
    assert code._told(ast.parse("x = 1")) != code._told(ast.parse("x = 1.0"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("from torch import sin as f", "from torch import exp as f"),
        ("from torch import neg", "from operator import neg"),
        ("import math as m", "import cmath as m"),
        ("from mine import sin as f", "from mine import exp as f"),
    ],
)
def test_what_a_name_is_imported_from_is_a_change(one, other):
    assert code._told(ast.parse(one)) != code._told(ast.parse(other))


def test_an_edited_method_is_another_run(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    own = ["method=random", "method._target_=my_blank.blank", "+method.level=1.0", "data.limit=1", "compute.device=cpu"]

    def run_id(text, part="A = 1"):
        (tmp_path / "my_blank.py").write_text("from my_part import A\n" + text)
        (tmp_path / "my_part.py").write_text(part)
        code.version.cache_clear()
        return open_job(load(own)).run_id("unified")

    first = run_id(METHOD)
    assert run_id(METHOD + "# said otherwise\n") == first
    assert run_id(METHOD.replace("x, level)", "x, 2 * level)")) != first
    assert run_id(METHOD, part="A = 2") != first  # what it imports of its own


def test_a_library_is_one_wherever_it_was_put(tmp_path, monkeypatch):
    """As by `pip install --target DIR`: its code counts in no digest, that of a package without metadata does."""
    libraries, project = tmp_path / "libraries", tmp_path / "project"
    for folder, package in ((libraries, "put_there"), (project, "of_mine")):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("A = 1")
        monkeypatch.syspath_prepend(folder)
    (libraries / "put_there-1.0.dist-info").mkdir()
    (project / "my_method.py").write_text("from of_mine import A\nfrom put_there import A as B\n")

    def digest():
        for cache in (code._library, code._of_libraries):
            cache.cache_clear()
        return code.digest("my_method.mine")

    first = digest()
    (libraries / "put_there" / "__init__.py").write_text("A = 2")
    assert digest() == first and code.installed("put_there")
    (project / "of_mine" / "__init__.py").write_text("A = 2")
    assert digest() != first and not code.installed("of_mine")


def test_an_edited_shipped_method_is_another_run(monkeypatch):
    assert code.version("methods.sm.saliency_map") == code.shipped()["saliency_map"]["version"] == 1
    monkeypatch.setattr(code, "_told", lambda tree: ast.dump(tree) + "edited")
    code.version.cache_clear()
    assert code.version("methods.sm.saliency_map") not in (1, "methods.sm.saliency_map")
    code.version.cache_clear()
