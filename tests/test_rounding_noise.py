"""scripts/rounding_noise.py compares what it says it compares."""

import numpy as np
import pytest
from jobs import SMALL, coarse, complete, rows_of, small_job

from bench.errors import UserError
from scripts import rounding_noise


def test_insertions_are_those_of_a_run_and_leave_nothing(tmp_path):
    complete(small_job(tmp_path, "method=sm", "metric=[unified]", "data.limit=3"))
    ours = rounding_noise.insertions(coarse(*SMALL, "method=sm", "data.limit=3"))
    assert sorted(ours) == sorted(rows_of(tmp_path)["insertion"])


def test_only_the_batch_size_differs(monkeypatch):
    asked = []
    monkeypatch.setattr(rounding_noise, "insertions", lambda o: asked.append(o) or np.array([1.0, len(asked)]))
    assert list(rounding_noise.differences(["method=sm"], "fp64")) == [0, 1]
    sizes = [next(o for o in overrides if o.startswith("compute.batch_size")) for overrides in asked]
    assert sizes == ["compute.batch_size=1", "compute.batch_size=8"]
    assert all(o[:2] == ["method=sm", "compute.precision=fp64"] for o in asked)


def test_a_failed_image_is_named(monkeypatch):
    failed = {"image_id": "owl", "status": "failed", "error": "the map holds NaN"}
    monkeypatch.setattr(rounding_noise, "rows_of", lambda *_: ({"unified": [failed]}, {}))
    with pytest.raises(UserError, match="method=sm, image owl: the map holds NaN"):
        rounding_noise.insertions(coarse(*SMALL, "method=sm", "data.limit=1"))


def test_every_method_but_the_one_of_files(capsys, monkeypatch):
    monkeypatch.setattr(rounding_noise, "differences", lambda *_: np.array([0.0, 2e-8]))
    rounding_noise.main([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(rounding_noise.every_method())
    assert "| `la` | 1.0e-08 | 2.0e-08 | 1.0e-08 | 2.0e-08 |" in lines
    assert not any("precomputed" in line for line in lines)
