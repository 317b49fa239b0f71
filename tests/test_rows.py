"""The row store while several processes work on it: what one takes away, the others do without."""

import pytest
from test_tables import row, save

from bench.store import rows as rowstore
from bench.store.rows import Rows, load_rows

CELL = {"data": "toy", "model": "net", "method": "la", "metric": "unified"}


@pytest.fixture
def store(tmp_path):
    """Two files, as two shards leave them; the listing still has a third that another process has taken away."""
    for image in ("a", "b"):
        Rows(tmp_path, CELL, "r").add([{"image_id": image, "status": "ok"}], {image: f"print of {image}"})
    store = Rows(tmp_path, CELL, "r")
    listed = store._files()
    store._files = lambda: [store.folder / "r-gone.parquet", *listed]
    return store


def test_a_file_that_vanished_after_it_was_listed_is_passed_over(store):
    assert store.done() == {"a": "print of a", "b": "print of b"}
    assert sorted(store.read()["image_id"].to_pylist()) == ["a", "b"]
    store.forget(["a"])
    assert Rows(store.folder.parents[4], CELL, "r").done() == {"b": "print of b"}


def test_failures_are_not_done_and_what_stays_of_a_file_keeps_its_fingerprints(tmp_path):
    store = Rows(tmp_path, CELL, "r")
    store.add(
        [{"image_id": i, "status": s} for i, s in (("a", "ok"), ("b", "failed"), ("c", "ok"))], {"a": "1", "c": "3"}
    )
    assert store.done() == {"a": "1", "c": "3"}
    store.forget(["a"])
    assert store.done() == {"c": "3"}


def test_all_rows_are_read_though_a_file_vanishes_on_the_way(tmp_path, monkeypatch):
    save(tmp_path, [row("a", 0.2)])
    save(tmp_path, [row("b", 0.2)], part="part-1")
    listing, calls = rowstore.ds.dataset, []

    def vanishing(folder, **settings):
        found = listing(folder, **settings)
        if not calls:
            next(folder.rglob("part-1.parquet")).unlink()
        calls.append(found)
        return found

    monkeypatch.setattr(rowstore.ds, "dataset", vanishing)
    assert list(load_rows(tmp_path)["image_id"]) == ["a"]
    assert len(calls) == 2
