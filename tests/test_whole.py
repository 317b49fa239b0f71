"""Files are whole or not there."""

import os

import pytest

from bench.store import atomic
from bench.store.atomic import atomic_write


def test_a_write_that_breaks_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "new" / "a.txt"
    with atomic_write(file) as path:
        path.write_text("first")
        assert not file.exists()
    with pytest.raises(KeyError), atomic_write(file) as path:
        path.write_text("half")
        raise KeyError
    assert file.read_text() == "first"
    assert [entry.name for entry in file.parent.iterdir()] == ["a.txt"]


def test_what_counts_is_on_the_disk_before_it_counts(tmp_path, monkeypatch):
    """The content before the name, the name before the write returns, and new folders in those above them."""
    events, fsync, replace = [], os.fsync, os.replace

    def synchronised(handle):
        events.append(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(atomic.os, "fsync", synchronised)
    monkeypatch.setattr(atomic.os, "replace", lambda *paths: events.append("named") or replace(*paths))
    with atomic_write(tmp_path / "rows" / "data=toy" / "a") as path:
        path.write_text("content")
    folder = tmp_path / "rows" / "data=toy"
    inodes = [place.stat().st_ino for place in (tmp_path, folder.parent, folder / "a", folder)]
    assert events == [*inodes[:3], "named", inodes[3]]
