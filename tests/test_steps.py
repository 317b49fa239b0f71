"""bench.profile.steps: what it reads off a curve is what a run with fewer steps scores."""

import json
import re
import shutil

import pytest
from jobs import complete, small_job

from bench.errors import UserError
from bench.profile import steps
from bench.store.rows import load_rows

UNIFIED = ["metric=[unified]", "data.limit=3", "compute.batch_size=2"]


def scored(folder, method, step, *more):
    job = small_job(folder, *UNIFIED, f"method={method}", f"metric.unified.step={step}", *more)
    complete(job)
    job.record("unified")
    return job


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two methods at 16 steps: 3,072 values, 192 a step."""
    folder = tmp_path_factory.mktemp("results")
    for method in ("sm", "center"):
        scored(folder, method, 192)
    return folder


def test_what_is_read_off_a_curve_is_what_a_run_with_fewer_steps_scores(results, tmp_path):
    scored(tmp_path, "sm", 768)
    own = load_rows(tmp_path).set_index("image_id")
    ((names, runs),) = steps.of_one_kind(results)
    assert names == ("synthetic", "tiny", "unified", 16)
    read = steps.scores(runs, 4)["sm", "unified"]
    for quantity in ("insertion", "deletion"):
        assert read[quantity].to_dict() == pytest.approx(own[quantity].to_dict(), rel=1e-6)
        full = steps.scores(runs, 16)["sm", "unified"][quantity]
        assert (full - read[quantity]).abs().max() > 1e-4
    assert read["gap"].to_dict() == pytest.approx((own["insertion"] - own["deletion"]).to_dict(), abs=1e-6)


def test_a_table_of_each_metric_and_a_line_of_each_number(results, capsys):
    steps.main([f"paths.results={results}", "steps=4,5,8,16"])
    document = json.loads((results / "report" / "steps.json").read_text())
    (table,) = document["tables"]
    assert table["title"] == "tiny · unified · synthetic"
    assert [(row[0]["text"], row[1]["text"]) for row in table["rows"]] == [
        (name, n) for n in ("4", "8") for name in ("insertion", "deletion", "gap")
    ]
    assert all(re.fullmatch("[01] of 1", row[5]["text"]) for row in table["rows"])
    assert table["below"] == ["Beside 16 steps; 3 images, 2 runs."]
    number = dict(zip(document["schema"], document["numbers"][0], strict=True))
    assert number["mean_change_of_an_image"] <= number["largest_change_of_an_image"]
    assert (number["full"], number["steps"], number["images"], number["pairs"]) == (16, 4, 3, 1)


def test_runs_under_other_conditions_stand_apart(results, tmp_path):
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    scored(tmp_path, "center", 192, "compute.fold=false")
    assert sorted(len(runs) for _, runs in steps.of_one_kind(tmp_path)) == [1, 2]


@pytest.mark.parametrize(
    ("said", "match"), [("steps=0", "2 or more"), ("steps=many", "2 or more"), ("steps=7", "no curve")]
)
def test_what_cannot_be_tried_is_said(said, match, results):
    with pytest.raises(UserError, match=match):
        steps.main([f"paths.results={results}", said])
