"""Parts waiting for workers. A part that is lost is taken up again, after the others; what it had stored is not computed
twice."""

import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from bench.launching.part import End, Part


class Workers(Protocol):
    def free(self) -> bool:
        """Whether one more part can be started."""

    def start(self, part: Part) -> None: ...

    def next_end(self) -> tuple[Part, End]:
        """Waits for it."""


def pulled(parts: Sequence[Part], workers: Workers, retries: int) -> Iterator[tuple[Part, End]]:
    """Every part and how it ended, in the order in which they end."""
    waiting, running, lost = deque(parts), 0, Counter[Part]()
    while waiting or running:
        while waiting and workers.free():
            workers.start(waiting.popleft())
            running += 1
        part, end = workers.next_end()
        running -= 1
        if end.code is None and lost[part] < retries:
            lost[part] += 1
            waiting.append(part)
            print(f"{part.name}: {end.why}; it is taken up again", file=sys.stderr, flush=True)
        else:
            yield part, end
