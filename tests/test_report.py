"""Rows to files: the right run in each cell, nothing dropped, the same bytes again."""

import csv

import numpy as np
import pandas as pd
import pytest
import yaml
from omegaconf import OmegaConf

from bench import PROTOCOL
from bench.config import load
from bench.errors import UserError
from bench.papers import contradictions
from bench.report import __main__ as report
from bench.report import intervals, latex
from bench.report.document import Document
from bench.report.markdown import flat
from bench.report.quantities import of_metric
from bench.report.table import Column, Entry, Table, tables

PLAN = {
    "name": "toy_table1",
    "title": "Toy table",
    "paper": "la",
    "table": 1,
    "models": ["resnet50"],
    "methods": ["sm", "ig"],
    "metrics": ["unified"],
    "published": {"sm": "fast_ig"},
}


@pytest.fixture(autouse=True)
def experiment(monkeypatch):
    """experiment=toy is PLAN; all else is composed as ever."""

    def compose(overrides, **how):
        composed = load([o for o in overrides if o != "experiment=toy"], **how)
        if "experiment=toy" in overrides:
            OmegaConf.update(composed.cfg, "experiment", PLAN, force_add=True)
        return composed

    monkeypatch.setattr(report, "load", compose)


def run(
    results,
    run_id,
    method,
    scores,
    *,
    overrides=(),
    device="cpu",
    created="2026-01-02T03:04:05",
    failed=0,
    first=0,
    labels=None,
):
    """What a run leaves behind: its record and a row per image with (insertion, deletion), or one score."""
    names = ["model=resnet50", "data=synthetic", f"method={method}", "metric=[unified]"]
    composed = load([*names, *overrides])
    groups = ("model", "data", "method", "compute", "run")
    config = {group: OmegaConf.to_container(composed.cfg[group], resolve=True) for group in groups}
    config["metric"] = OmegaConf.to_container(composed.cfg.metric.unified, resolve=True)
    cell = {"data": "synthetic", "model": "resnet50", "method": method, "metric": "unified"}
    record = {
        "run_id": run_id,
        "cell": cell,
        "config": config,
        "versions": {"heatproof": "0.1.0", "protocol": str(PROTOCOL)},
        "git": {"commit": "c0ffee", "dirty": False},
        "device": {"type": device, "name": device},
        "weights": {"digest": "ab" * 32},
        "created": created,
    }
    (results / "runs").mkdir(parents=True, exist_ok=True)
    (results / "runs" / f"{run_id}.yaml").write_text(yaml.safe_dump(record))
    rows = [(f"{i:03}", "ok", a, b) for i, (a, b) in enumerate(scores, first)]
    rows += [(f"f{i}", "failed", None, None) for i in range(failed)]
    table = pd.DataFrame(rows, columns=["image_id", "status", "insertion", "deletion"])
    table = table.assign(run_id=run_id, confidence=0.9, score=None, seconds_attribution=0.5)
    table = table.astype(dict.fromkeys(["insertion", "deletion", "score"], float))
    if labels:
        table["label"] = labels
    folder = results / "rows" / "/".join(f"{key}={value}" for key, value in cell.items())
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / f"part-{run_id}.parquet")


def make(results, *overrides):
    """{(method, confidence, quantity): line of the CSV} and the three files' texts."""
    document, found = report.make(["data=synthetic", f"paths.results={results}", "report.bootstrap=200", *overrides])
    markdown, table, latex, _ = document.save(found.folder)
    lines = list(csv.DictReader(table.read_text().splitlines()))
    return {(x["method"], x["confidence"], x["quantity"]): x for x in lines}, markdown.read_text(), latex.read_text()


def test_cell_holds_the_mean_the_published_value_and_their_difference(tmp_path):
    run(tmp_path, "a1", "sm", [(0.2, 0.1), (0.4, 0.1)])
    lines, markdown, _ = make(tmp_path, "experiment=toy")
    line = lines["sm", "all", "insertion"]
    assert (float(line["mean"]), line["n"], line["published"]) == (0.3, "2", "0.03165")
    assert float(line["difference"]) == pytest.approx(0.3 - 0.03165)
    assert (line["run_id"], line["published_source"]) == ("a1", "la_table1.csv")
    assert "| sm | 0.3000 ± 1.2706 | 0.03165 <sup>[7]</sup> | +0.2684 | design only |" in markdown
    assert "`sm` beside `fast_ig`" in markdown


def test_what_is_resampled_is_a_class_where_images_come_in_classes(tmp_path):
    scores = [(0.03 * (i // 4) + 0.001 * (i % 4), 0.1) for i in range(80)]  # four images of a class are alike
    labels = [7 * (i // 4) for i in range(80)]
    run(tmp_path / "images", "a1", "sm", scores)
    run(tmp_path / "classes", "a1", "sm", scores, labels=labels)
    widths, values = {}, np.array(scores)[:, :1]
    for name, groups in (("images", None), ("classes", labels)):
        line = make(tmp_path / name, "experiment=toy")[0]["sm", "all", "insertion"]
        expected = intervals.interval(values, groups, draws=200)[:, 0]
        np.testing.assert_allclose([float(line["ci_low"]), float(line["ci_high"])], expected, atol=1e-4)
        widths[name] = expected[1] - expected[0]
    assert widths["classes"] > 1.5 * widths["images"]


def test_cells_without_rows_are_shown_with_the_command_that_makes_them(tmp_path):
    run(tmp_path, "a1", "sm", [(0.2, 0.1)])
    lines, markdown, _ = make(tmp_path, "experiment=toy")
    assert (lines["ig", "all", "gap"]["mean"], lines["ig", "all", "gap"]["n"]) == ("", "0")
    assert "| ig | not run | 0.05802 | – | not run |" in markdown
    assert "To run them: `python -m bench.run " in markdown
    assert "experiment=toy`" in markdown


def test_published_numbers_are_marked_with_the_contradictions_that_touch_them(tmp_path, monkeypatch):
    run(tmp_path, "a1", "sm", [(0.2, 0.1)])
    lines, markdown, latex = make(tmp_path, "experiment=toy")  # la_table1; sm stands beside fast_ig
    own, other = (lines[method, "all", "insertion"]["contradictions"].split() for method in ("sm", "ig"))
    assert "7" in own and "7" not in other and {"1", "10"} <= {*own} & {*other}
    assert "0.03165 <sup>[7]</sup> |" in markdown and "| 0.05802 |" in markdown
    assert "Contradictions: [1], [5], [7], [10], " in markdown
    assert "- [7] Fast-IG with the wrong sign" in markdown
    assert "0.03165$^{7}$" in latex and "Contradictions (docs/contradictions.md): 1, 5, 7, 10, " in latex
    assert "[7]: " not in markdown  # from outside of the repository there is no way to the page that holds elsewhere
    monkeypatch.setattr(contradictions, "ROOT", tmp_path)
    monkeypatch.setattr(contradictions, "PAGE", tmp_path / "docs" / "contradictions.md")
    assert "[7]: ../docs/contradictions.md#c7\n" in make(tmp_path, "experiment=toy")[1]


def test_as_many_images_are_not_the_same_images(tmp_path):
    run(tmp_path, "a1", "sm", [(0.2, 0.1), (0.3, 0.1)])
    run(tmp_path, "b2", "ig", [(0.5, 0.3), (0.3, 0.1)], first=1)
    _, markdown, _ = make(tmp_path)
    assert (
        "Not all methods were scored on the same images: synthetic · resnet50 · unified (1 image in common)" in markdown
    )
    assert "Marks and tests are over the 1 image that all rows share." in markdown


def test_failed_images_are_shown(tmp_path):
    run(tmp_path, "a1", "sm", [(0.2, 0.1)], failed=3)
    lines, markdown, _ = make(tmp_path, "experiment=toy")
    assert lines["sm", "all", "insertion"]["failed"] == "3"
    assert "| 1 (+ 3 failed) |" in markdown


@pytest.mark.parametrize(
    "setting", ["run.seed=1", "compute.precision=fp64", "run.target=label", "model.size=96", "model.weights=random"]
)
def test_a_run_with_other_settings_is_not_taken_for_the_experiments(tmp_path, setting):
    run(tmp_path, "a1", "ig", [(0.2, 0.1)], overrides=[setting])
    lines, _, _ = make(tmp_path, "experiment=toy")
    assert lines["ig", "all", "insertion"]["run_id"] == ""
    lines, _, _ = make(tmp_path, "experiment=toy", setting)
    assert lines["ig", "all", "insertion"]["run_id"] == "a1"


@pytest.mark.parametrize("setting", ["method.steps=5", "metric.unified.step=6720"])
def test_nor_is_one_with_other_hyperparameters(tmp_path, setting):
    run(tmp_path, "a1", "ig", [(0.2, 0.1)], overrides=[setting])
    lines, _, _ = make(tmp_path, "experiment=toy")
    assert lines["ig", "all", "insertion"]["run_id"] == ""


def test_of_runs_on_two_devices_the_longer_is_shown_and_said_to_be(tmp_path):
    run(tmp_path, "a1", "sm", [(0.2, 0.1)])
    run(tmp_path, "b2", "sm", [(0.6, 0.1), (0.6, 0.1)], device="cuda")
    lines, markdown, _ = make(tmp_path, "experiment=toy")
    assert (lines["sm", "all", "insertion"]["run_id"], lines["sm", "all", "insertion"]["mean"]) == ("b2", "0.6")
    assert "b2 (device=cuda, n = 2); a1 (device=cpu, n = 1)" in markdown


def test_best_is_bold_in_the_metrics_own_direction(tmp_path):
    few, many = tmp_path / "few", tmp_path / "many"
    for results, n in ((few, 14), (many, 15)):
        run(results, "a1", "sm", [(0.2, 0.1)] * n)
        run(results, "b2", "ig", [(0.5, 0.3)] * n)
        run(results, "c3", "sg", [(0.5, 0.2)] * n)
    _, markdown, latex = make(many)
    assert "| sm | 0.2000 ± 0.0000 | **0.1000 ± 0.0000** | 0.1000 ± 0.0000 | 15 |" in markdown
    assert "| ig | **0.5000 ± 0.0000** | 0.3000 ± 0.0000 | 0.2000 ± 0.0000 | 15 |" in markdown
    assert "| sg | 0.5000 ± 0.0000 † | 0.2000 ± 0.0000 | **0.3000 ± 0.0000** | 15 |" in markdown
    assert r"sg & 0.5000 $\pm$ 0.0000 $\dagger$ & 0.2000" in latex
    _, markdown, _ = make(few)
    assert "**" not in markdown and "Nothing is marked: 14 images, a mark takes 15." in markdown


def test_summary_tells_runs_of_one_cell_apart_by_their_settings(tmp_path):
    run(tmp_path, "a1", "ig", [(0.2, 0.1)], overrides=["method.steps=5"])
    run(tmp_path, "b2", "ig", [(0.5, 0.3)], overrides=["method.steps=7"])
    _, markdown, _ = make(tmp_path)
    assert "| ig (steps=5) | 0.2000 |" in markdown
    assert "| ig (steps=7) | 0.5000 |" in markdown


def test_the_same_rows_make_the_same_bytes(tmp_path):
    run(tmp_path, "a1", "sm", [(0.2, 0.1), (0.4, 0.2), (0.9, 0.1)])
    first = make(tmp_path, "experiment=toy")
    assert make(tmp_path, "experiment=toy") == first
    assert str(tmp_path) not in "".join(first[1:])  # nor does it say where they lie


def test_latex_escapes_what_latex_would_read():
    columns, rows = [Column("Method"), Column("GAP ↑", "high")], [[Entry("a_b", bold=True), Entry("-0.5 ± 0.1")]]
    text = latex.written(Table("la_release · 95 % < 1 & $x$", columns, rows))
    assert r"\caption{la\_release $\cdot$ 95 \% $<$ 1 \& \$x\$}" in text
    assert r"\textbf{a\_b} & $-$0.5 $\pm$ 0.1 \\" in text
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert text.isascii()


def test_without_rows_it_says_what_makes_some(tmp_path):
    with pytest.raises(UserError, match=r"python -m bench\.run .*method=sm"):
        report.main([f"paths.results={tmp_path}", "method=sm"])


def test_main_prints_the_table_and_where_it_is(tmp_path, capsys):
    run(tmp_path, "a1", "sm", [(0.2, 0.1)])
    report.main([f"paths.results={tmp_path}"])
    said = capsys.readouterr().out
    assert "| sm | 0.2000 |" in said and str(tmp_path / "report" / "summary.tex") in said


def test_the_same_run_on_more_images_or_from_another_place_is_the_same_run(tmp_path):
    run(
        tmp_path,
        "a1",
        "sm",
        [(0.2, 0.1)],
        overrides=["data.limit=5", "model.weights=/elsewhere/w.pth", "run.shard=1/2"],
    )
    lines, _, _ = make(tmp_path, "experiment=toy")
    assert lines["sm", "all", "insertion"]["run_id"] == "a1"


def test_medians_and_quartiles_stand_folded_below_their_table(tmp_path):
    run(tmp_path, "a1", "sm", [(0.1, 0.0), (0.2, 0.0), (0.9, 0.0), (0.3, 0.5), (0.25, 0.0)])
    document, found = report.make(["data=synthetic", f"paths.results={tmp_path}", "report.bootstrap=50"])
    markdown, _, latex, _ = (path.read_text() for path in document.save(found.folder))
    first, folded = document.tables[:2]
    assert (first.folded, folded.folded, folded.of) == (False, True, first.of)
    text = markdown[markdown.index("<details><summary>Medians and quartiles: resnet50 · unified") :]
    assert "| Method | Insertion ↑ | median [quartiles] | Deletion ↓ |" in text
    assert "| 0.2500 [0.2000, 0.3000] | 0.1000 ± 0.2776 | 0.0000 [0.0000, 0.0000] |" in text
    assert text.index("</details>") < text.index("## resnet50 · unified · confidence")
    assert "Medians" not in latex
    assert Document.load(found.folder / "summary.json").tables == document.tables


def test_the_median_of_a_score_with_long_tails_stands_in_its_table():
    kind = of_metric("infidelity")["score"]
    line = {"data": "d", "model": "m", "metric": "infidelity", "confidence": "all", "quantity": "score", "kind": kind}
    line |= {"row": "ig", "run_id": "a1", "mean": 90.0, "ci_low": 80.0, "ci_high": 100.0, "n": 4, "failed": 0}
    line |= {
        "q1": 1.5,
        "median": 4.0,
        "q3": 100.0,
        "published": None,
        "verdict": "",
        "contradictions": None,
        "share": None,
    }
    (table,) = tables(pd.DataFrame([line]), {}, 0.7)
    assert flat(table)[0] == ["Method", "Score ↓", "median [quartiles]", "n"]
    assert [entry.text for entry in table.rows[0]] == ["ig", "90.0000 ± 10.0000", "4.0000 [1.5000, 100.0000]", "4"]
