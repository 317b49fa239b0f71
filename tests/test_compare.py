"""A method among the rows of others: its numbers, where it stands, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from jobs import SMALL, complete, small_job

from bench import compare
from bench.errors import UserError
from bench.report import marks
from bench.report.standing import standing
from bench.store.rows import load_rows

SETTINGS = ["data=synthetic", "metric=[unified,kl]", "metric.unified.step=768", "metric.kl.step=768"]
METHODS = ("sg", "sm", "ig", "random")
COPY = "_target_: methods.sg.smooth_grad\n_partial_: true\ndraws: 50\nsigma: 0.15\n"
NOTHING = "_target_: methods.random.random_map\n_partial_: true\n"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Four methods on twenty images; of one of them a run of another seed, too."""
    folder = tmp_path_factory.mktemp("reference")
    for choice in (*([f"method={method}"] for method in METHODS), ["method=sg", "run.seed=1"]):
        job = small_job(folder, *SETTINGS, "data.limit=20", "compute.batch_size=10", *choice)
        for metric in job.metrics:
            job.record(metric)
        complete(job)
    return folder


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A working folder with methods of one's own."""
    own = tmp_path / "conf" / "method"
    own.mkdir(parents=True)
    (own / "copy.yaml").write_text(COPY + "stream: sg\n")
    (own / "copy_of_its_own.yaml").write_text(COPY)
    (own / "nothing.yaml").write_text(NOTHING)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compared(reference, mine, *more):
    given = [SMALL[1], f"compare.results={reference}", f"paths.results={mine / 'results'}", "compute.device=cpu"]
    return compare.main([*given, "compute.batch_size=10", "report.bootstrap=100", *more])


def test_a_copy_has_the_numbers_of_what_it_copies(reference, mine, capsys):
    assert compared(reference, mine, "method=copy") == 0
    said = capsys.readouterr().out
    scores = ["metric", "image_id", "insertion", "deletion", "forward_passes"]
    found, there = load_rows(mine / "results"), load_rows(reference)
    of_seed = compare.found(reference, []).runs["unified"]["sg"]["run_id"]
    of_sg = there[(there["method"] == "sg") & (there["metric"] == "unified")]
    assert of_seed in set(of_sg["run_id"])
    seeds = {run: part for run, part in there[there["method"] == "sg"].groupby("run_id")}
    chosen = {compare.found(reference, []).runs[metric]["sg"]["run_id"] for metric in ("unified", "kl")}
    expected = pd.concat([seeds[run] for run in chosen])
    found, expected = (frame.sort_values(["metric", "image_id"], ignore_index=True) for frame in (found, expected))
    pd.testing.assert_frame_equal(found[scores], expected[scores])
    assert len(found) == 40 and {*found["method"]} == {"copy"}
    assert "copy (yours)" in said and "| equal |" in said
    report = mine / "results" / "report"
    lines = pd.read_csv(report / "compare_copy.csv")
    assert {*lines["row"]} == {*METHODS, "copy (yours)"}
    assert r"copy (yours)" in (report / "compare_copy.tex").read_text()
    assert (report / "compare_copy_forest_tiny-unified.png").exists() or list(report.glob("compare_copy_forest_*.png"))
    before = {file: file.stat().st_mtime_ns for file in reference.rglob("*") if file.is_file()}
    assert compared(reference, mine, "method=copy") == 0
    assert "your rows are there" in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in reference.rglob("*") if file.is_file()} == before


def test_draws_go_by_the_name_unless_another_stream_is_named(reference, mine):
    assert compared(reference, mine, "method=copy_of_its_own", "metric=[unified]", "data.limit=2") == 0
    found = load_rows(mine / "results").set_index("image_id")["insertion"]
    there = load_rows(reference)
    of_sg = there[there["run_id"] == compare.found(reference, []).runs["unified"]["sg"]["run_id"]]
    of_sg = of_sg.set_index("image_id")["insertion"]
    assert len(found) == 2 and not np.isclose(found, of_sg[found.index], rtol=1e-6).any()


def test_a_useless_method_lands_beside_random(reference, mine):
    assert compared(reference, mine, "method=nothing", "metric=[unified]") == 0
    lines = pd.read_csv(mine / "results" / "report" / "compare_nothing.csv")
    gap = lines[(lines["quantity"] == "gap") & (lines["confidence"] == "all")].set_index("row")["mean"]
    order = list(gap.sort_values().index)
    assert abs(order.index("nothing (yours)") - order.index("random")) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("metric.unified.step=384", "metric.step is 384 here and 768 there"),
        ("model.mean=[0.4,0.4,0.4]", "model.mean"),
        ("run.target=label", "target is label here and prediction there|run.target=label"),
        ("compute.precision=fp64", "precision is fp64 here and fp32 there"),
        ("data.seed=1", "data.seed is 1 here and 0 there"),
    ],
)
def test_what_is_not_comparable_is_refused_and_the_setting_named(reference, mine, change, named):
    with pytest.raises(UserError, match=named.replace(".", r"\.")):
        compared(reference, mine, "method=sm", change)
    assert not (mine / "results" / "rows").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["metric=[pixel]"], "metric=pixel: .* it has kl, unified"),
        (["model=resnet50"], "model=resnet50: .* it has tiny"),
        (["data.ids=[nobody]"], "nobody"),
        (["compare.results=/nowhere"], "there are no rows to compare with"),
    ],
)
def test_what_the_reference_has_not_is_said(reference, mine, words, said):
    with pytest.raises(UserError, match=said):
        compared(reference, mine, "method=sm", *words)


def test_the_rank_and_what_it_may_be():
    """Against a slow count over the pairs that the column's own marks tell apart."""
    random = np.random.default_rng(0)
    shift = pd.Series({"a": 0.0, "b": 0.05, "c": 1.0, "d": 1.05, "e": 2.0})
    scores = pd.DataFrame(random.normal(size=(60, 5)) * 0.1 + shift.to_numpy(), columns=list(shift.index))
    for sign in (1, -1):
        pairs = marks.pairs(sign * scores.to_numpy())
        for k, own in enumerate(scores):
            of = standing(scores, own, sign)
            better = [j for j in range(5) if pairs.difference[j, k] > pairs.reach[j, k]]
            worse = [j for j in range(5) if pairs.difference[k, j] > pairs.reach[k, j]]
            means = (sign * scores.mean()).rank(ascending=False)
            assert (of.rank, of.first, of.last) == (means[own], 1 + len(better), 5 - len(worse))
            assert of.first <= of.rank <= of.last
    of = standing(scores, "c", 1).against
    assert (of["best"].other, of["best"].verdict, of["best"].needed) == ("e", "worse", None)
    assert (of["next better"].other, of["next worse"].other, of["next worse"].verdict) == ("d", "b", "better")
    assert standing(scores, "c", -1).against["best"].other in ("a", "b")
    low = standing(scores, "c", -1).against["best"]
    assert low.difference > 0 and low.verdict == "worse"
    close = standing(scores, "d", 1).against["next worse"]
    assert close.verdict == "better" or close.needed > 60
    few = standing(scores[:5], "a", 1).against["best"]
    assert few.verdict == "too few images to tell" and few.needed is None
