"""Pictures that other processes draw: the same files, there when the block ends, and no error lost."""

import os

import numpy as np
import pytest

from bench.figures import lines, style
from bench.figures.apart import HERE, Apart

MANY = HERE + 2


def by_whom(stem, *_):
    """Leaves the process's id in place of a picture."""
    paths = style.files(stem)
    for path in paths:
        path.write_text(str(os.getpid()))
    return paths


def spoilt(stem, *_):
    raise ValueError(f"no room for {stem.name}")


def drawn(folder, cores, write=by_whom, *what, many=MANY):
    """The paths that so many pictures are said to have, after the block."""
    folder.mkdir(exist_ok=True)
    with Apart(cores) as apart:
        return [path for k in range(many) for path in apart.draw(write, folder / f"{k}.x", *what)]


def test_a_few_pictures_are_drawn_here_and_many_apart(tmp_path):
    for many in (HERE, MANY):
        paths = drawn(tmp_path / str(many), 2, many=many)
        assert [path.name for path in paths] == [f"{k}.x.{ending}" for k in range(many) for ending in ("png", "pdf")]
        here = {path.read_text() == str(os.getpid()) for path in paths}
        assert here == {many == HERE}


def test_one_core_draws_all_here(tmp_path):
    assert {path.read_text() for path in drawn(tmp_path, 1)} == {str(os.getpid())}


def test_a_picture_drawn_apart_is_the_file_that_is_drawn_here(tmp_path):
    x = np.linspace(0, 1, 9)
    panels = [lines.Panel("Insertion", "share", "p", [lines.Line("ig", x, x, x - 0.1, x + 0.1)])]
    paths = drawn(tmp_path / "apart", 2, lines.write, panels, {"ig": 0})
    for path in paths:
        lines.write(tmp_path / "here" / path.stem, panels, {"ig": 0})
        assert path.read_bytes() == (tmp_path / "here" / path.name).read_bytes()


def test_what_a_picture_raises_is_raised_when_the_block_ends(tmp_path):
    with pytest.raises(ValueError, match=f"no room for {HERE}"), Apart(2) as apart:
        for k in range(MANY):
            apart.draw(by_whom if k < HERE else spoilt, tmp_path / str(k))


def test_a_block_that_fails_fails_with_its_own_error(tmp_path):
    with pytest.raises(KeyError, match="the report"), Apart(2) as apart:
        for k in range(MANY):
            apart.draw(by_whom if k < HERE else spoilt, tmp_path / str(k))
        raise KeyError("the report")
