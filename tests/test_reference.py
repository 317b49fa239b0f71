"""The reference's rows: in which order, in what pieces, and that it goes on from what is there."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from jobs import SMALL, rows_of

from bench.choices import CONF
from bench.config import load
from bench.errors import UserError
from bench.reference.__main__ import circles, main
from bench.reference.order import fair, pieces
from bench.reference.units import units
from bench.store import records
from bench.store.__main__ import main as store
from bench.store.rows import load_rows

TINY = [*SMALL[1:], "experiment.models=[tiny]", "data=synthetic", "experiment.methods=[sm,random]"]
TINY += ["images=2", "experiment.metrics=[unified,kl,insertion_deletion]", "experiment.steps=4"]
TINY += ["experiment.first={insertion_deletion:2}"]


def test_the_first_images_are_a_fair_sample_wherever_it_is_cut():
    labels = {f"{k}": k % 7 for k in range(70)} | {f"{k}": 0 for k in range(70, 100)}
    order = fair(list(labels), labels, 0)
    assert sorted(order) == sorted(labels)
    for n in range(1, 71):
        counted = Counter(labels[image] for image in order[:n])
        assert max(counted.values()) - min(counted[k] for k in range(7)) <= 1
    assert fair(list(labels)[::-1], labels, 0) == order != fair(list(labels), labels, 1)
    assert order[:7] != sorted(order[:7], key=lambda image: labels[image])  # no class is always the first
    without = [image for image in order if image != order[3]]
    assert [image for image in fair(without, labels, 0) if labels[image] != labels[order[3]]] == [
        image for image in order if labels[image] != labels[order[3]]
    ]


def test_pieces_are_even_and_end_at_borders():
    assert pieces(100, 20, [40]) == [range(k, k + 20) for k in range(0, 100, 20)]
    assert pieces(24, 20) == [range(0, 12), range(12, 24)]
    assert pieces(10, 8, [3, 99]) == [range(0, 3), range(3, 10)]


@pytest.mark.parametrize("circle", circles(None))
def test_a_circle_can_be_begun(circle):
    """Its rows, networks, metrics and settings exist."""
    config = load([f"experiment={circle}"])
    from bench.experiments.plan import cells

    for cell in cells(config.cfg.experiment):
        for group, name in (("method", cell.row.method), ("model", cell.model)):
            assert (CONF / group / f"{name}.yaml").exists()
    assert set(config.cfg.experiment.get("first") or {}) <= set(config.cfg.experiment.metrics)


def test_circles_come_in_their_order():
    assert circles("c,a") == ["reference_a", "reference_c"]
    with pytest.raises(UserError, match="there is no circle z; there are a, b"):
        circles("a,z")
    for word in ("processes=0", "images=x", "minutes=-1"):
        with pytest.raises(UserError, match=word.partition("=")[0]):
            main(["circles=a", word])


def test_how_many_images_a_metric_is_played_on_is_checked_before_anything_is_opened():
    for said, cure in (
        ("unifed=40", "there is no metric unifed. Did you mean unified?"),
        ("unified=0", "experiment.first.unified=0: expected a whole number of images, 1 or more."),
        ("unified=all", "experiment.first.unified=all: expected a whole number"),
    ):
        with pytest.raises(UserError, match=re.escape(cure)):
            units("reference_a", [o for o in TINY if o != "images=2"] + [f"+experiment.first.{said}"], 2, "")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    assert main(["circles=a", *TINY, "data.limit=3", f"paths.results={folder}"]) == 0
    return folder


def test_every_metric_plays_its_first_images(made):
    rows = load_rows(made)
    assert rows.groupby(["method", "metric"])["image_id"].nunique().to_dict() == {
        (method, metric): 2 if metric == "insertion_deletion" else 3
        for method in ("sm", "random")
        for metric in ("unified", "kl", "insertion_deletion")
    }
    assert (rows["status"] == "ok").all()
    played = rows[rows["metric"] == "insertion_deletion"]["image_id"]
    (first, *_) = units("reference_a", [o for o in TINY if o != "images=2"], 2, "2020-01-01T00:00:00+00:00")
    assert {*played} == {*first.images}


def test_the_first_images_of_all_methods_come_first():
    found = units("reference_a", [o for o in TINY if o != "images=2"] + ["data.limit=5"], 2, "")
    assert [len(unit.images) for unit in found] == [2, 2, 2, 2, 1, 1]
    assert [unit.name.split()[1] for unit in found] == ["sm", "random"] * 3
    assert found[0].images == found[1].images and "insertion_deletion" in found[0].metrics
    assert "insertion_deletion" not in found[2].metrics


def test_it_goes_on_from_rows_that_were_committed_without_curves(made, capsys):
    before = rows_of(made)
    size = sum(file.stat().st_size for file in made.rglob("*.parquet"))
    assert store(["compact", str(made), "curves=false"]) == 0
    assert sum(file.stat().st_size for file in made.rglob("*.parquet")) < size
    files = {file: file.read_bytes() for file in made.rglob("*.parquet")}
    kept = [name for name in before if not name.endswith("_curve") and name != "stamp"]
    pd.testing.assert_frame_equal(rows_of(made)[kept], before[kept])
    assert rows_of(made)["insertion_curve"].isna().all()
    assert np.isfinite(load_rows(made).query("metric == 'unified'")["insertion"]).all()
    assert main(["circles=a", *TINY, "data.limit=3", f"paths.results={made}"]) == 0
    assert capsys.readouterr().err.count("nothing to do") == 4
    assert {file: file.read_bytes() for file in made.rglob("*.parquet")} == files
    assert main(["circles=a", *TINY, "data.limit=4", f"paths.results={made}"]) == 0
    assert (load_rows(made).query("metric == 'unified'").groupby("method").size() == 4).all()
    assert all(len(record["continued"]) in (0, 1) for record in records.load_runs(made).values())
    assert store(["compact", str(made), "curves=false"]) == 0
    assert all(pq.read_table(file, partitioning=None)["insertion_curve"].null_count for file in made.rglob("*.parquet"))


def test_what_has_to_be_put_right_is_said_and_the_rest_is_done(tmp_path, capsys):
    overrides = [o for o in TINY if "methods" not in o] + ["experiment.methods=[gradcam,random]", "data.limit=1"]
    code = main(["circles=a", *overrides, "model.feature_layer=nowhere", f"paths.results={tmp_path}"])
    said = capsys.readouterr()
    assert code == 1 and "nowhere" in said.out
    assert {*load_rows(tmp_path)["method"]} == {"random"}
