"""Several works in one process, one after the other, again and again: what slows the machine slows all of them.

Nothing else makes seconds of a machine that others use comparable. What is told of them: the median and both ends, and for a
ratio that of the least seconds, as what interferes can only slow a measurement down.
"""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Work = Callable[[], object]
Now = Callable[[], float]  # seconds, when the device has done what it was given


@dataclass(frozen=True)
class Spread:
    """Of a number that was measured several times."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


def alternating(works: Mapping[str, Work], rounds: int, now: Now) -> dict[str, list[float]]:
    """The seconds of each work in each round, after a first time that does not count. In every second round they go in the
    opposite order, so that none is always the one that comes after another.
    """
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for k in range(rounds):
        for name in list(works)[:: -1 if k % 2 else 1]:
            start = now()
            works[name]()
            seconds[name].append(now() - start)
    return seconds


def ratio(of: list[float], to: list[float]) -> tuple[float, Spread]:
    """Of the least seconds; and the median and both ends of what each round says."""
    each = [a / b for a, b in zip(of, to, strict=True)]
    return min(of) / min(to), Spread.of(each)
