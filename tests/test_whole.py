"""Files are whole or not there."""

import pytest

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
