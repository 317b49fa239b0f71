"""An exported folder: a data set that Hugging Face's library reads, a results folder, and what may not be in it."""

import pandas as pd
import pytest
import yaml
from jobs import complete, rows_of, small_job

from bench.errors import UserError
from bench.store import records
from bench.store.rows import load_rows
from heatproof.export import export, main, places


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    few = ["data.limit=3", "metric=[unified]", "metric.unified.step=768", "run.save_attributions=true"]
    job = small_job(folder, "method=random", *few)
    complete(job)
    job.record("unified")
    return folder


@pytest.fixture(scope="module")
def exported(results, tmp_path_factory):
    return export(results, tmp_path_factory.mktemp("out") / "a-method", "cc0-1.0")


def test_it_is_a_data_set(exported, tmp_path):
    datasets = pytest.importorskip("datasets")
    cache = {"cache_dir": str(tmp_path)}
    rows = datasets.load_dataset(str(exported), **cache)["train"].to_pandas()  # rows: the default
    pd.testing.assert_frame_equal(rows, load_rows(exported), check_dtype=False)
    assert sorted(rows["method"].unique()) == ["random"] and len(rows) == 3
    runs = datasets.load_dataset(str(exported), "runs", **cache)["train"].to_pandas()
    assert set(runs["run_id"]) == set(rows["run_id"]) and set(runs["seed"]) == {0}
    curves = datasets.load_dataset(str(exported), "curves", **cache)["train"]
    assert len(curves) == 3 and len(curves[0]["insertion_curve"]) > 2


def test_its_card_says_licence_and_how_to_cite(exported):
    _, head, text = (exported / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "cc0-1.0" and yaml.safe_load(head)["size_categories"] == ["n<1K"]
    assert "@software{heatproof" in text and "`random`" in text and "@" not in text.replace("@software", "")


def test_it_is_a_results_folder_with_a_report_of_its_rows(exported, results):
    pd.testing.assert_frame_equal(rows_of(exported), rows_of(results))
    assert records.load_runs(exported) == records.load_runs(results)
    assert "random" in (exported / "report" / "summary.md").read_text(encoding="utf-8")


def test_neither_maps_nor_photographs_are_in_it(exported, results):
    assert [*results.rglob("*.npy")] and not [*exported.rglob("*.npy")]
    assert "data:image/" not in (exported / "report" / "index.html").read_text(encoding="utf-8")


def test_places_of_this_machine_are_named():
    run = {"config": {"data": {"root": "/home/me/x", "n": 3}, "model": {"weights": "~/w"}, "method": {"layer": "a"}}}
    assert places({"a": run}) == ["/home/me/x", "~/w"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["a", "b"], "takes a NAME"),
        (["a", "licence=mit"], "takes a NAME"),
        (["a b"], "expected a name of letters"),
        (["a", "license=my own"], "an identifier"),
        (["there"], "there is there already"),
        (["a", "paths.results=nowhere"], "no rows and records in nowhere"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(words, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=complaint):
        main(words)
