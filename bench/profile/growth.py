"""How cost grows: with images, steps, classes and pixels. seconds = c · n^e, and e is fitted: a straight line in log-log.

An exponent of 1 says twice as much for twice as many. Each axis has three sizes, measured alternately; its points are the
least seconds of each.
"""

import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bench.config import load
from bench.errors import UserError
from bench.profile.alternating import Now, Work, alternating
from bench.profile.subjects import METHOD, METRIC, Bench, Subject, first_batch, like, maps_of, scores_of, subjects
from bench.running.job import Job, open_job

AXES = ("images", "steps", "classes", "pixels")
STEPS = ("steps", "draws", "copies", "masks")  # what methods call the number of their passes; the first that one has
BATCHES = (1, 2, 4)
SHARES = (0.25, 0.5, 1.0)  # of the setting as it is
SIDES = (0.5, 0.75, 1.0)  # of an image's
EVEN = 16  # pixels, of which sides are multiples, so that no stage of a network rounds them


@dataclass(frozen=True)
class Axis:
    """Works of different size.  sizes: in what the axis counts."""

    name: str
    subject: str
    sizes: tuple[int, ...]
    works: tuple[Work, ...]


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """e of seconds = c · size^e."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


@dataclass(frozen=True)
class Grown:
    """seconds: the least at each size."""

    axis: Axis
    seconds: list[float]

    @property
    def exponent(self) -> float:
        return exponent(self.axis.sizes, self.seconds)


def grown(axis: Axis, rounds: int, now: Now) -> Grown:
    measured = alternating({str(size): work for size, work in zip(axis.sizes, axis.works, strict=True)}, rounds, now)
    return Grown(axis, [min(seconds) for seconds in measured.values()])


def axes(job: Job, on: Bench, overrides: list[str], name: str) -> Iterator[Axis]:
    """Of this name, those that this job's method and its metrics have.  overrides: the command line, without method=."""
    own = [*overrides, f"method={job.method_name}"]
    match name:
        case "images":
            yield from _images(job, on)
        case "steps":
            yield from _of_setting(name, STEPS, job, on, own)
            yield from _of_games(job, on, own)
        case "classes":
            yield from _of_setting(name, ("n_classes",), job, on, own)
        case "pixels":
            yield from _pixels(job, own)


def _images(job: Job, on: Bench) -> Iterator[Axis]:
    """Batch after batch, as the loop has it."""
    for subject in subjects([job], on):
        yield from _axis("images", subject, {n * len(on.x): _times(n, subject.work) for n in BATCHES})


def _of_setting(axis: str, keys: tuple[str, ...], job: Job, on: Bench, own: list[str]) -> Iterator[Axis]:
    """By a setting of the method that counts something."""
    settings = job.config.cfg.method
    for key in [key for key in keys if isinstance(settings.get(key), int)][:1]:
        jobs = {n: like(job, [*own, f"method.{key}={n}"]) for n in _shares(settings[key])}
        works = {n: functools.partial(maps_of, other, on) for n, other in jobs.items()}
        yield from _axis(axis, Subject(METHOD, job.method_name, lambda: None), works)


def _of_games(job: Job, on: Bench, own: list[str]) -> Iterator[Axis]:
    """By the values that go at once: half of them are twice as many steps."""
    for name in job.metrics:
        settings = job.config.cfg.metric[name]
        if "step" in settings:
            maps, values = maps_of(job, on), on.x[0, 0].numel() * (3 if settings.order == "element" else 1)
            jobs = {
                n: like(job, [*own, f"metric.{name}.step={-(-values // n)}"]) for n in _shares(values // settings.step)
            }
            works = {n: functools.partial(scores_of, other, on, maps, name) for n, other in jobs.items()}
            yield from _axis("steps", Subject(METRIC, name, lambda: None), works)


def _pixels(job: Job, own: list[str]) -> Iterator[Axis]:
    """By the side of the images. Each has a network of its own, as that may depend on it."""
    sides = sorted({round(share * job.network.preprocessing.size / EVEN) * EVEN for share in SIDES} - {0})
    works = {}
    for side in sides:
        try:
            other = open_job(load([*own, f"model.size={side}"]))
        except UserError as error:  # a network or a source that has a least size
            print(f"Left out: {side} pixels. {error}", file=sys.stderr)
            continue
        works[side**2] = functools.partial(maps_of, other, first_batch(other))
    yield from _axis("pixels", Subject(METHOD, job.method_name, lambda: None), works)


def _axis(name: str, subject: Subject, works: Mapping[int, Work]) -> Iterator[Axis]:
    if len(works) > 1:
        yield Axis(name, str(subject), tuple(works), tuple(works.values()))


def _shares(most: int) -> list[int]:
    return [n for n in sorted({round(share * most) for share in SHARES}) if n > 1]


def _times(n: int, work: Work) -> Work:
    def repeated() -> None:
        for _ in range(n):
            work()

    return repeated
