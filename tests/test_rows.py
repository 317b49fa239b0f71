"""The row store while several processes work on it: what one takes away, the others do without."""

import pyarrow.parquet as pq
import pytest
from test_tables import row, save

from bench.store import rows as rowstore
from bench.store.rows import Made, Rows, load_rows

CELL = {"data": "toy", "model": "net", "method": "la", "metric": "unified"}


@pytest.fixture
def store(tmp_path):
    """Two files, as two shards leave them; the listing still has a third that another process has taken away."""
    for image in ("a", "b"):
        Rows(tmp_path, CELL, "r").add([{"image_id": image, "status": "ok"}], {image: Made(f"print of {image}", None)})
    store = Rows(tmp_path, CELL, "r")
    listed = store._files()
    store._files = lambda: [store.folder / "r-gone.parquet", *listed]
    return store


def test_a_file_that_vanished_after_it_was_listed_is_passed_over(store):
    assert store.done() == {"a": Made("print of a", None), "b": Made("print of b", None)}
    assert sorted(store.read()["image_id"].to_pylist()) == ["a", "b"]
    store.forget(["a"])
    assert Rows(store.folder.parents[4], CELL, "r").done() == {"b": Made("print of b", None)}


def test_failures_are_not_done_and_what_stays_of_a_file_keeps_what_it_remembers(tmp_path):
    store = Rows(tmp_path, CELL, "r")
    store.add(
        [{"image_id": i, "status": s} for i, s in (("a", "ok"), ("b", "failed"), ("c", "ok"))],
        {"a": Made("1", "old"), "c": Made("3", None)},
    )
    assert store.done() == {"a": Made("1", "old"), "c": Made("3", None)}
    store.forget(["a"])
    assert store.done() == {"c": Made("3", None)}


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


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", None], ids=["empty", "cut", "rotten"])
def test_a_broken_file_is_set_aside_and_its_images_are_not_done(tmp_path, content, capsys):
    for image in ("a", "b"):
        Rows(tmp_path, CELL, "r").add([{"image_id": image, "status": "ok", "score": 1.0}], {image: Made("1", None)})
    file = next(
        file for file in (tmp_path / "rows").rglob("*.parquet") if "a" in pq.read_table(file)["image_id"].to_pylist()
    )
    whole = file.read_bytes()
    file.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :] if content is None else content)

    assert list(load_rows(tmp_path)["image_id"]) == ["b"]  # a report names it and goes on
    assert file.name in capsys.readouterr().err and file.exists()
    assert set(Rows(tmp_path, CELL, "r").done()) == {"b"}  # a run sets it aside
    assert file.name in capsys.readouterr().err and not file.exists()
    assert list(load_rows(tmp_path)["image_id"]) == ["b"]
    assert capsys.readouterr().err == ""


def test_nothing_but_broken_files_is_no_rows(tmp_path):
    Rows(tmp_path, CELL, "r").add([{"image_id": "a", "status": "ok"}], {})
    next((tmp_path / "rows").rglob("*.parquet")).write_bytes(b"")
    assert load_rows(tmp_path).empty
