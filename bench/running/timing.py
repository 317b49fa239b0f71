"""Seconds on the wall, after the device has finished."""

import time

from bench.running.compute import Compute


class Clock:
    """`with clock: …`, then clock.seconds."""

    def __init__(self, compute: Compute):
        self.compute, self.seconds = compute, 0.0

    def __enter__(self) -> "Clock":
        self.compute.synchronise()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.compute.synchronise()
        self.seconds = time.perf_counter() - self._start
