"""What every run promises: the same rows, bit for bit in fp32, with other neighbours, in another order, in one or three
shards, cut and resumed. A new file in conf/method or conf/metric is tested here without a line of test code."""

import numpy as np
import pandas as pd
import pytest
from conftest import NETWORK, SETTINGS
from jobs import complete, rows_of, small_job

from bench.choices import CONF

METHODS = sorted(path.stem for path in (CONF / "method").glob("*.yaml"))
METRICS = sorted(path.stem for path in (CONF / "metric").glob("*.yaml"))
IDS = [f"synthetic-{i:05}" for i in (3, 8, 1, 9, 4)]


def ids(names: list[str]) -> str:
    return f"data.ids=[{','.join(names)}]"


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert len(one) == len(other)
    for column in one.columns:
        for a, b in zip(one[column], other[column], strict=True):
            assert np.array_equal(a, b, equal_nan=True) if isinstance(a, np.ndarray | float) else a is b or a == b, (
                column
            )


@pytest.mark.parametrize("method", METHODS)
def test_rows_do_not_depend_on_how_they_were_made(method, tmp_path):
    choice = [f"method={method}", "metric=[unified]", "metric.unified.step=384", "compute.batch_size=2"]
    choice += [f"method.root={maps(tmp_path)}"] if method == "precomputed" else SETTINGS.get(method, [])
    if method in NETWORK:
        choice += [f"model.net._target_=conftest.{NETWORK[method]}", "model.feature_layer=null"]
    complete(small_job(tmp_path / "plain", *choice, ids(IDS)))
    for shard in ("2/3", "0/3", "1/3"):
        job = small_job(tmp_path / "parts", *choice, ids(IDS[::-1]), f"run.shard={shard}")
        complete(job, batches=1)  # cut after the first batch
        complete(small_job(tmp_path / "parts", *choice, ids(IDS[::-1]), f"run.shard={shard}"))
    plain = rows_of(tmp_path / "plain")
    assert list(plain["status"]) == ["ok"] * 5
    assert_same(plain, rows_of(tmp_path / "parts"))


@pytest.mark.parametrize("metric", METRICS)
def test_scores_do_not_depend_on_how_they_were_made(metric, tmp_path):
    choice = ["method=sm", f"metric=[{metric}]", "compute.batch_size=2"]
    complete(small_job(tmp_path / "plain", *choice, ids(IDS)))
    complete(small_job(tmp_path / "parts", *choice, ids([IDS[4], IDS[0]])))
    complete(small_job(tmp_path / "parts", *choice, ids([IDS[3], IDS[2], IDS[0], IDS[1]])))
    plain = rows_of(tmp_path / "plain")
    assert list(plain["status"]) == ["ok"] * 5
    assert plain[["insertion", "score"]].notna().any(axis=1).all()
    assert_same(plain, rows_of(tmp_path / "parts"))


@pytest.mark.parametrize("metric", METRICS)
def test_in_float64_the_batch_size_does_not_matter(metric, tmp_path):
    choice = ["method=sm", f"metric=[{metric}]", "compute.precision=fp64", ids(IDS)]
    for size in (1, 2, 5):
        complete(small_job(tmp_path / str(size), *choice, f"compute.batch_size={size}"))
    rows = [rows_of(tmp_path / str(size)) for size in (1, 2, 5)]
    for other in rows[1:]:
        assert list(other["run_id"]) == list(rows[0]["run_id"]), "the batch size is not part of a run's id"
        for column in ("insertion", "deletion", "score"):
            np.testing.assert_allclose(other[column], rows[0][column], rtol=1e-10, atol=1e-10)


def maps(folder):
    root = folder / "maps"
    root.mkdir(exist_ok=True)
    for n, image in enumerate(IDS):
        np.save(root / f"{image}.npy", np.sin(np.arange(3 * 32 * 32) * (n + 1)).reshape(3, 32, 32))
    return root
