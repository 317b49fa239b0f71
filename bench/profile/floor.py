"""The floor: what the network's own passes cost, and nothing else. No method or metric that makes them can be faster.

A pass is forward alone, as scores need it; forward and backward, as a gradient does; or forward and twice backward, for two
gradients at one point.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.profile.alternating import Now, Work, alternating
from bench.running.job import Job
from methods.parts.gradient import gradients, log_probability, probability

FORWARD, ONCE, TWICE = "forward", "forward + backward", "forward + 2 backward"
PASSES = (FORWARD, ONCE, TWICE)
TRIED = (1, 2, 0.5)  # times the run's own width: how many images the passes of the floor are tried at
ROUNDS = 3  # to find the best of them


@dataclass(frozen=True)
class Counts:
    """Passes that were made, in images."""

    forward: int
    backward: int

    def seconds(self, forward: float, once: float, twice: float) -> float:
        """What they take at so many seconds an image: as many gradients as possible are the only one of their pass."""
        doubled = max(0, self.backward - self.forward)
        single = self.backward - 2 * doubled
        if single < 0:  # three gradients and more: each of them adds what the second adds
            return self.forward * once + doubled * (twice - once)
        return single * once + doubled * twice + (self.forward - single - doubled) * forward


def counted(job: Job, work: Work) -> Counts:
    """The passes that a work makes."""
    before = job.network.forward_passes, job.network.backward_passes
    work()
    return Counts(job.network.forward_passes - before[0], job.network.backward_passes - before[1])


def passes(job: Job, x: Tensor, target: Tensor) -> dict[str, Work]:
    """The three, of these images."""

    def forward() -> None:
        with torch.inference_mode(), job.compute.scoring():
            job.network(x)

    return {
        FORWARD: forward,
        ONCE: lambda: gradients(job.network, x, [probability(target)]),
        TWICE: lambda: gradients(job.network, x, [probability(target), log_probability(target)]),
    }


def best_width(job: Job, x: Tensor, target: Tensor, now: Now) -> int:
    """Of the widths that are tried that at which a gradient costs an image least."""
    wide = sorted({max(1, int(share * len(x))) for share in TRIED})
    if job.compute.device.type == "cuda":  # there the run's own width is what memory has room for
        wide = [width for width in wide if width <= len(x)]
    works = {str(width): passes(job, *at_width(x, target, width))[ONCE] for width in wide}
    seconds = alternating(works, ROUNDS, now)
    return min(wide, key=lambda width: min(seconds[str(width)]) / width)


def at_width(x: Tensor, target: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """So many images: some of these, or these again."""
    index = torch.arange(width, device=x.device) % len(x)
    return x[index].contiguous(memory_format=torch.channels_last), target[index]


def floor_of(counts: Counts, seconds: dict[str, list[float]], width: int) -> list[float]:
    """In each round the seconds of these passes.  seconds: of a pass of `width` images, by its name, in each round."""
    rounds = zip(*(seconds[name] for name in PASSES), strict=True)
    return [counts.seconds(*(second / width for second in each)) for each in rounds]


def clock(job: Job, read: Callable[[], float]) -> Now:
    """Seconds, after the device has finished."""

    def now() -> float:
        job.compute.synchronise()
        return read()

    return now
