"""What is profiled: each method and each metric, on the first batch of the run's images."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.build import build
from bench.config import load
from bench.errors import UserError
from bench.images.source import Batch
from bench.profile.alternating import Work
from bench.running.attribution import attribute
from bench.running.job import Job, bind
from bench.running.post import build_method
from bench.running.runner import predict, score, to_score
from bench.studies import study
from bench.types import Images, Targets

METHOD, METRIC = "method", "metric"


@dataclass(frozen=True)
class Subject:
    kind: str  # METHOD or METRIC
    name: str
    work: Work  # of all images of the batch

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Bench:
    """A batch, placed, with the class that is explained; a short one is padded."""

    batch: Batch
    x: Images
    target: Targets

    @property
    def ids(self) -> list[str]:
        return self.batch.padded_ids


def first_batch(job: Job) -> Bench:
    for batch in study.batches(job):
        return Bench(batch, batch.x, predict(job, batch, batch.x)[1])
    raise UserError("There is no image to profile with.")


def subjects(jobs: list[Job], on: Bench) -> Iterator[Subject]:
    """Each job's method, and the metrics of the first one, which score that one's maps."""
    for job in jobs:
        yield Subject(METHOD, job.method_name, lambda job=job: maps_of(job, on))  # type: ignore[misc]
    first = jobs[0]
    if first.metrics:
        maps = maps_of(first, on)
        for metric in first.metrics:
            yield Subject(METRIC, metric, lambda metric=metric: scores_of(first, on, maps, metric))  # type: ignore[misc]


def like(job: Job, overrides: list[str]) -> Job:
    """Other settings of method and metrics on the same network and images."""
    config = load(overrides)
    method = build_method(config.cfg.method)
    bind(method, job.source, job.seeds.images)
    metrics = {name: build(metric, f"metric.{name}") for name, metric in (config.cfg.get("metric") or {}).items()}
    return replace(job, config=config, method=method, metrics=metrics, kept=None, _run_ids={})


def maps_of(job: Job, on: Bench) -> Images:
    return attribute(job, on.x, on.target, on.ids, len(on.batch.ids))[0]


def scores_of(job: Job, on: Bench, maps: Images, metric: str) -> dict:
    """Of one metric alone: a new game each time."""
    with job.compute.scoring():
        return score(job, to_score(job, on.batch, on.x, on.target, maps), metric)
