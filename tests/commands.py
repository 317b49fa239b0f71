"""Command lines as a reader types them, run in this process."""

import importlib
import runpy
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heatproof.__main__ import main

PROGRAMS = ("heatproof", "python -m bench.", "pytest")


def run_line(line: str) -> int | str:
    """The exit status of `heatproof …`, `python -m bench.… …` or `pytest …`. A string: what stderr ends with."""
    words = shlex.split(line, comments=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*found in sys.modules after import")  # here it is imported already
        return _run(words)


def _run(words: list[str]) -> int | str:
    try:
        if words[0] == "heatproof":
            sys.argv = words
            main()
        elif words[:2] == ["python", "-m"]:
            sys.argv = words[2:]
            runpy.run_module(words[2], run_name="__main__")
        elif words[0] == "pytest":
            for file in words[1:]:
                for name, test in runpy.run_path(file).items():
                    if name.startswith("test_"):
                        test()
        else:
            raise ValueError(words)
    except SystemExit as end:
        return end.code or 0
    return 0


@contextmanager
def nobody_elses() -> Iterator[None]:
    """Modules of the folder that one works in are forgotten afterwards, and sys.argv and sys.path are as they were."""
    modules, path, words = set(sys.modules), list(sys.path), list(sys.argv)
    try:
        yield
    finally:
        here = str(Path.cwd())
        for name in set(sys.modules) - modules:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(here):
                del sys.modules[name]
        sys.path[:], sys.argv[:] = path, words
        importlib.invalidate_caches()
