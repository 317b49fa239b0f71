"""A part of a sweep: a command line, which any engine can run; how it ended; and how a sweep is cut into parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, TypedDict

from bench.ranges import Between
from bench.running.forecast import Cost


class Settings(TypedDict):
    """What all engines are told."""

    shards: Annotated[int, Between(1, 10_000)]


@dataclass(frozen=True)
class Part:
    name: str  # in words: la on resnet50, part 1 of 4
    command: tuple[str, ...]
    folder: str  # in which it is run
    log: Path  # what it says
    environment: tuple[tuple[str, str], ...] = ()  # beside that of whoever runs it


@dataclass(frozen=True)
class End:
    """How a part ended.  code: the exit status, None if it was lost: its process was killed, or its machine went away."""

    code: int | None
    why: str = ""

    @property
    def done(self) -> bool:
        return self.code == 0


@dataclass(frozen=True)
class Cut:
    """The i-th of n parts of the job of this number."""

    job: int
    i: int
    n: int


def cut(costs: Sequence[Cost], shards: int) -> list[Cut]:
    """Parts that cost no more than the dearest job's `shards`-th part, none smaller than a batch; the dearest first, so
    that what is left in the end is short.
    """
    timed = all(cost.seconds is not None for cost in costs)
    dear = [float(cost.seconds or 0) if timed else float(cost.passes) for cost in costs]
    most = max(dear, default=0) / shards
    found = []
    for job, (cost, whole) in enumerate(zip(costs, dear, strict=True)):
        batches = ceil(cost.images / cost.batch_size)
        n = max(1, min(shards, batches, ceil(whole / most - 1e-9) if most else 1))
        found += [(-whole / n, Cut(job, i, n)) for i in range(n)]
    return [part for _, part in sorted(found, key=lambda pair: pair[0])]


def lasts(parts: Sequence[float], workers: int) -> float:
    """Until the last of them has ended, if each worker takes the next one when it is free."""
    free = [0.0] * workers
    for part in parts:
        free[free.index(min(free))] += part
    return max(free)
