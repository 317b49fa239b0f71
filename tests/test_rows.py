"""The row store while several processes work on it: what one takes away, the others do without."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from test_tables import row, save

from bench.store import rows as rowstore
from bench.store.parts import REPLACES
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


@pytest.mark.parametrize(
    "change",
    [{"image_id": None}, {"status": None}, {"score": "high"}, {"score": float("inf")}, {"label": 1.5}],
)
def test_a_file_that_no_run_has_written_is_set_aside(change, tmp_path, capsys):
    for image in ("a", "b"):
        Rows(tmp_path, CELL, "r").add([{"image_id": image, "status": "ok", "score": 1.0}], {image: Made("1", None)})
    first, _ = sorted((tmp_path / "rows").rglob("*.parquet"), key=lambda f: pq.read_table(f)["image_id"].to_pylist())
    pq.ParquetFile(first).read().to_pandas().assign(**change).to_parquet(first)

    assert list(load_rows(tmp_path)["image_id"]) == ["b"]
    assert first.name in capsys.readouterr().err
    assert set(Rows(tmp_path, CELL, "r").done()) == {"b"} and not first.exists()


def test_nothing_but_broken_files_is_no_rows(tmp_path):
    Rows(tmp_path, CELL, "r").add([{"image_id": "a", "status": "ok"}], {})
    next((tmp_path / "rows").rglob("*.parquet")).write_bytes(b"")
    assert load_rows(tmp_path).empty


def add(store, *images, **values):
    store.add(
        [{"image_id": i, "status": "ok"} | values for i in images], {i: Made(f"print of {i}", None) for i in images}
    )


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*.parquet")}


def test_a_batch_touches_no_file_that_is_there_and_the_end_of_a_run_joins_them(tmp_path):
    store = Rows(tmp_path, CELL, "r")
    add(store, "a", "b")
    first = contents(tmp_path)
    add(store, "c")
    assert first.items() <= contents(tmp_path).items() and len(contents(tmp_path)) == 2
    store.join()
    assert len(contents(tmp_path)) == 1
    assert set(store.done()) == {"a", "b", "c"}


def test_a_long_run_has_few_files(tmp_path, monkeypatch):
    monkeypatch.setattr(rowstore, "ROWS_A_FILE", 10)
    store = Rows(tmp_path, CELL, "r")
    for k in range(25):
        add(store, f"{k}a", f"{k}b")
        assert len(contents(tmp_path)) <= k // 5 + 5
    assert len(store.done()) == 50


@pytest.mark.parametrize("step", range(4))
def test_joining_that_is_cut_short_loses_nothing_and_is_put_in_order_by_the_next_run(tmp_path, monkeypatch, step):
    """Before the new file has its name, after it, and between the old ones."""
    store, calls = Rows(tmp_path, CELL, "r"), []
    for image in ("a", "b", "c"):
        add(store, image, score=1.0)

    def cut(call):
        def counted(*args, **keywords):
            if len(calls) == step:
                raise KeyboardInterrupt
            calls.append(call)
            return call(*args, **keywords)

        return counted

    monkeypatch.setattr("bench.store.atomic.os.replace", cut(os.replace))
    monkeypatch.setattr(Path, "unlink", cut(Path.unlink))
    with pytest.raises(KeyboardInterrupt):
        store.join()
    monkeypatch.undo()
    assert set(load_rows(tmp_path)["image_id"]) == {"a", "b", "c"}
    again = Rows(tmp_path, CELL, "r")
    assert set(again.done()) == {"a", "b", "c"}
    assert sorted(again.read()["image_id"].to_pylist()) == ["a", "b", "c"]


def test_a_file_takes_away_none_but_those_of_its_own_run(tmp_path):
    other, store = Rows(tmp_path, CELL, "other"), Rows(tmp_path, CELL, "r")
    add(other, "a")
    add(store, "b")
    names = [f"../method=la/{other._files()[0].name}", other._files()[0].name, "../../kept", "r-joined-1.parquet"]
    (store.folder.parent.parent / "kept").write_text("")
    table = pq.ParquetFile(store._files()[0]).read().replace_schema_metadata({REPLACES: json.dumps(names)})
    pq.write_table(table, store.folder / "r-joined-1.parquet")
    store.done()
    assert other.done() and store.done() and (store.folder.parent.parent / "kept").exists()


def test_rows_of_before_fingerprints_were_columns_count_as_done(tmp_path):
    store = Rows(tmp_path, CELL, "r")
    add(store, "a")
    table = pq.ParquetFile(store._files()[0]).read().drop_columns(["fingerprint", "stamp"])
    told = {"heatproof.fingerprints": json.dumps({"a": "1"}), "heatproof.stamps": json.dumps({"a": "then"})}
    pq.write_table(table.replace_schema_metadata(told), store._files()[0])
    assert Rows(tmp_path, CELL, "r").done() == {"a": Made("1", "then")}
    add(store, "b")
    store.forget(["b"])
    add(store, "c")
    assert Rows(tmp_path, CELL, "r").done() == {"a": Made("1", "then"), "c": Made("print of c", None)}


def test_scored_rows_of_one_image_that_differ_are_told(tmp_path, capsys):
    for k, (image, score) in enumerate((("a", 0.2), ("b", 0.2), ("b", 0.2), ("c", 0.2), ("c", 0.5))):
        save(tmp_path, [row(image, score)], part=f"part-{k}")
    assert len(load_rows(tmp_path)) == 3
    assert capsys.readouterr().err.startswith("1 image with several rows that differ, by 0.3 at most (run ")
