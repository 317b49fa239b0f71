"""What a report learns by itself: metrics from their own words, exhibits from their folder; and what it keeps, as JSON."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from test_page import leave

from bench.choices import ROOT
from bench.errors import UserError
from bench.report import __main__ as report
from bench.report import exhibits, quantities
from bench.report.document import Document
from bench.report.exhibits import exhibit, forest, ranks
from bench.report.exhibits.exhibit import Figure, Found
from bench.store.rows import load_rows
from metrics.quantities import Quantity

METRIC = """
    QUANTITIES = {"score": {"title": "Sparsity", "better": "low", "unit": "share of {what}"}}

    def sparsity(batch, *, what):
        raise AssertionError("a report runs no metric")
"""
EXHIBIT = """
    from bench.report.exhibits.exhibit import Figure

    def exhibit(lines, runs, plan, found):
        yield Figure("Of my own", "My place", svg=(("words", "<svg>mine</svg>"),), about=f"{len(runs)} runs.")
"""


def left(results, *metrics):
    """sm, ig and random on three images: ig is the highest."""
    for metric in metrics:
        for method, level in (("sm", 0.3), ("ig", 0.6), ("random", 0.2)):
            leave(results, f"{method}-{metric}", method, level, metric=metric)


def written(results, *overrides):
    """The document and the paths of its files."""
    document, found = report.make([f"paths.results={results}", "report.bootstrap=50", *overrides])
    return document, report.write(document, found)


@pytest.fixture
def sparsity(tmp_path, monkeypatch):
    """Runs of a metric that no file of this repository knows; its module is found, and never imported."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sparse_metric.py").write_text(textwrap.dedent(METRIC))
    monkeypatch.syspath_prepend(tmp_path / "mine")
    left(tmp_path, "pointing")
    for file in (tmp_path / "runs").iterdir():
        text = file.read_text().replace("metrics.localisation.localisation", "sparse_metric.sparsity")
        file.write_text(text.replace("game: pointing", "what: pixels").replace("metric: pointing", "metric: sparsity"))
    rows = tmp_path / "rows" / "data=synthetic" / "model=tiny"
    for folder in list(rows.glob("*/metric=pointing")):
        for file in folder.glob("*.parquet"):
            table = pd.read_parquet(file, partitioning=None)
            table = table.assign(score=table["insertion"], insertion=np.nan, deletion=np.nan, label=None)
            many = [table.assign(image_id=f"{i}-" + table["image_id"]) for i in range(6)]  # enough for marks
            pd.concat(many).to_parquet(file)
        folder.rename(folder.with_name("metric=sparsity"))
    return tmp_path


def test_a_metric_of_somebodys_own_has_its_direction_title_marks_test_and_plots(sparsity):
    document, (markdown, _, latex, *_, page) = written(sparsity)
    texts = [path.read_text() for path in (markdown, latex, page)]
    assert "sparse_metric" not in sys.modules
    for text, arrow in zip(texts, ("Sparsity ↓", r"Sparsity $\downarrow$", "Sparsity ↓"), strict=True):
        assert arrow in text
    assert "| random | **0.2000 ± 0.0000** |" in texts[0] and "| ig | 0.6000 ± 0.0000 |" in texts[0]
    assert r"random & \textbf{0.2000" in texts[1] and "<strong>0.2000 ± 0.0000</strong>" in texts[2]
    assert 'data-first="ascending"><button type="button">Sparsity ↓' in texts[2]
    assert {"forest", "ranks"} <= {
        file.partition("_")[0].rpartition("/")[2] for f in document.figures for file in f.files
    }
    assert "share of pixels" in texts[2]  # the axis
    assert document.numbers.loc[document.numbers["standing"] == "best", "row"].unique().tolist() == ["random"]


def test_an_exhibit_of_somebodys_own_is_found_by_its_folder(tmp_path, monkeypatch):
    left(tmp_path, "unified")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "zz_mine.py").write_text(textwrap.dedent(EXHIBIT))
    monkeypatch.setattr(exhibits, "__path__", [*exhibits.__path__, str(tmp_path / "more")])
    try:
        _, paths = written(tmp_path)
    finally:
        sys.modules.pop("bench.report.exhibits.zz_mine", None)
    page = paths[-1].read_text()
    assert '<h2 id="my-place-title">My place</h2>' in page and "<svg>mine</svg>" in page and "<p>3 runs.</p>" in page
    assert '<a href="#my-place">' in page


def test_who_has_a_later_turn_is_asked_later_and_stands_in_its_place(tmp_path, monkeypatch):
    asked = []
    for name, head in (("aa_page", "TURN = 1"), ("zz_picture", "")):
        lines = (
            head,
            "def exhibit(lines, runs, plan, found):",
            f"    found.append({name!r})",
            f"    return [{name!r}]",
        )
        (tmp_path / f"{name}.py").write_text("\n".join(lines))
    monkeypatch.setattr(exhibits, "__path__", [str(tmp_path)])
    try:
        assert exhibit.figures(None, {}, None, asked) == ["aa_page", "zz_picture"]
    finally:
        for name in asked:
            sys.modules.pop(f"bench.report.exhibits.{name}", None)
    assert asked == ["zz_picture", "aa_page"]


def test_a_metric_that_nobody_explains_is_an_error():
    with pytest.raises(UserError, match="nobodys_metric"):
        quantities.of_metric("nobodys_metric")
    with pytest.raises(UserError, match="no Python file gone"):
        quantities.of_metric("x", {"_target_": "gone.metric"})
    with pytest.raises(UserError, match="unified has no score"):
        quantities.chosen("unified", quantities.of_metric("unified"), ["score"])
    assert quantities.of_metric("kl")["gap"].unit != quantities.of_metric("unified")["gap"].unit == "probability"


def test_a_document_comes_back_from_its_json_as_it_was(tmp_path):
    left(tmp_path, "unified", "kl")
    document, paths = written(tmp_path, "experiment=la_table1", "experiment.models=[tiny]", "data=synthetic")
    again = Document.load(paths[3])
    assert (again.name, again.title, again.facts, again.notes) == (
        document.name, document.title, document.facts, document.notes
    )  # fmt: skip
    assert again.tables == document.tables and again.figures == document.figures
    pd.testing.assert_frame_equal(again.numbers, document.numbers)
    assert again.save(tmp_path / "again")[0].read_text() == paths[0].read_text()
    assert "[PNG](la_table1_forest_tiny_unified.png)" in paths[0].read_text()
    assert (tmp_path / "report" / "la_table1_ranks_tiny_unified.pdf").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "format 99, and this version reads 2"),
        ({"title": None, "tables": [{}]}, "not whole"),
        ({"numbers": [["much"]], "schema": {"n": "int"}}, "not of format 3"),
    ],
)
def test_a_document_that_cannot_be_read_is_named(tmp_path, change, said):
    (path,) = Document("x", "X", pd.DataFrame({"n": [1]})).save(tmp_path)[3:]
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=said):
        Document.load(path)
    path.write_text("{")
    with pytest.raises(UserError, match=r"x\.json is not a report"):
        Document.load(path)


def test_a_report_imports_no_torch(tmp_path):
    left(tmp_path, "unified")
    for choice in ([], ["experiment=la_table1", "experiment.models=[tiny]", "data=synthetic"]):
        code = (
            "import sys; from bench.report.__main__ import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
        )
        arguments = [*choice, f"paths.results={tmp_path}", "report.bootstrap=50"]
        done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


RANDOM = np.random.default_rng(1)  # noqa: TID251 (made-up scores)
BASE = RANDOM.normal(0.5, 0.3, 40)


def test_ranks_are_averages_and_bars_join_what_is_not_told_apart():
    scores = {"last": BASE, "first": BASE + 1, "alike": BASE + 1 + RANDOM.normal(0, 0.1, 40), "third": BASE + 0.5}
    chart = ranks.chart(pd.DataFrame(scores), "Insertion ↑", 1)
    assert [point.name for point in chart.points][2:] == ["third", "last"]
    assert [point.x for point in chart.points][2:] == [3, 4]
    assert sum(point.x for point in chart.points) == pytest.approx(1 + 2 + 3 + 4)
    assert chart.bars == ((0, 1),)
    low = ranks.chart(pd.DataFrame(scores), "Deletion ↓", -1)
    assert [point.name for point in low.points][:2] == ["last", "third"]


def test_ties_share_their_rank():
    scores = pd.DataFrame({"a": BASE, "b": BASE, "c": BASE - 1})
    assert [point.x for point in ranks.chart(scores, "", 1).points] == [1.5, 1.5, 3]


def test_a_bar_joins_no_two_that_are_told_apart():
    """a ~ b and b ~ c, but not a ~ c: two bars, not one."""
    steps = np.linspace(-1, 1, 30)
    scores = pd.DataFrame({"a": steps + 0.9, "b": 1.5 * steps[::-1] + 0.55, "c": steps})
    assert ranks.groups(scores) == [(0, 1), (1, 2)]


def test_the_best_is_on_top_in_either_direction():
    lines = pd.DataFrame([("a", 0.2, "0.25"), ("b", 0.7, None), ("c", 0.5, "")], columns=["row", "mean", "published"])
    lines = lines.assign(
        run_id=lines["row"], ci_low=lines["mean"] - 0.1, ci_high=lines["mean"] + 0.1, standing="", n=[9, 9, 9]
    )
    found = Found(None, [], None, None, {}, lines, labels={"b": "steps=5"})
    for better, order in (("high", ["b (steps=5)", "c", "a"]), ("low", ["a", "c", "b (steps=5)"])):
        chart = forest._chart(lines.assign(kind=[Quantity("Score", better, "m")] * 3), found)
        assert [point.name for point in chart.points] == order and chart.axis == "m"
    assert chart.points[0].printed == 0.25 and np.isnan(chart.points[1].printed)
    uneven = forest._chart(lines.assign(kind=[Quantity("Score", "high", "m")] * 3, n=[9, 9, 1200]), found)
    assert [point.name for point in uneven.points] == ["b (steps=5) (n = 9)", "c (n = 1,200)", "a (n = 9)"]


def test_one_method_alone_is_no_forest_and_two_are_no_ranks(tmp_path):
    leave(tmp_path, "a", "sm", 0.3)
    assert not [figure for figure in written(tmp_path)[0].figures if "Means" in figure.title]
    leave(tmp_path, "b", "ig", 0.4)
    titles = [figure.title for figure in written(tmp_path)[0].figures]
    assert any("Means" in title for title in titles) and not any("ranks" in title for title in titles)
    assert len(load_rows(tmp_path)) == 6


def test_a_page_is_all_that_a_figures_html_is_for():
    plain = Figure("Gallery", "Gallery", html="<b>large</b>").plain()
    assert "html" not in plain and Figure.of(json.loads(json.dumps(plain))) == Figure("Gallery", "Gallery")


def test_what_a_metric_said_holds_when_its_file_is_gone():
    recorded = {
        "score": {"title": "Brightness", "better": "high", "unit": "{readout} a {day}", "minus": None, "new": 1}
    }
    settings = {"_target_": "no_such_module.ours", "readout": "logit"}
    assert quantities.of_metric("ours", settings, recorded) == {
        "score": Quantity("Brightness", "high", "logit a {day}")
    }
    with pytest.raises(UserError, match="there is no Python file no_such_module"):
        quantities.of_metric("ours", settings)
