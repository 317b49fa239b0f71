"""Pictures drawn by processes of their own while a report goes on: of a report on many rows they are half of the work."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from types import TracebackType

from bench.cores import cores_here
from bench.figures.style import files

HERE = 4  # pictures that are drawn here if they are all, as a process takes a second to start
MOST = 4  # processes, of 150 MB each


class Apart:
    """`with Apart() as apart: apart.draw(lines.write, stem, panels, styles)`: when the block ends, all files are there.

    A picture that fails raises what it raised, at the end of the block; a block that fails waits for no picture that has
    not been begun.
    """

    def __init__(self, cores: int | None = None):
        """cores: None: those that this process may use."""
        self._workers = min(cores_here() if cores is None else cores, MOST)
        self._waiting: list[tuple] = []
        self._pool: ProcessPoolExecutor | None = None
        self._begun: list[Future] = []

    def draw(self, write: Callable[..., list[Path]], stem: Path, *what) -> list[Path]:
        """The paths that write(stem, *what) makes: <stem>.png and <stem>.pdf, which may be there only later."""
        if self._workers < 2:
            return write(stem, *what)
        self._waiting.append((write, stem, *what))
        if len(self._waiting) > HERE and self._pool is None:
            # not forked: a copy of a process whose libraries run threads may wait for a lock that nobody holds
            self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), initializer=_of_the_report)
        if self._pool:
            self._begun += [self._pool.submit(*picture) for picture in self._waiting]
            self._waiting = []
        return files(stem)

    def __enter__(self) -> "Apart":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if error is None:
            for draw, *what in self._waiting:
                draw(*what)
        if self._pool is None:
            return
        try:
            if error is None:
                for future in self._begun:
                    future.result()
        finally:
            self._pool.shutdown(cancel_futures=True)


def _of_the_report() -> None:
    """What draws ends with the report, even one that is killed; Ctrl-C, which goes to all of a terminal, is the report's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_it, daemon=True).start()


def _end_with_it() -> None:
    report = parent_process()
    if report:
        report.join()
    os._exit(1)
