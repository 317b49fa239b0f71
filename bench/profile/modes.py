"""Faster modes beside the network as it was: the same images, methods and metrics in each, and how long they take.

PLAIN is what they are measured by: fp32, every pass by torch, batch norms as they were learnt.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from bench.errors import UserError
from bench.profile.alternating import Work, alternating
from bench.profile.floor import clock
from bench.profile.subjects import first_batch, subjects
from bench.report import means
from bench.report.quantities import of_metric
from bench.running.attribution import attribute
from bench.running.compute import set_precision
from bench.running.job import Job
from bench.running.runner import predict, score, to_score
from bench.studies import study

PLAIN = ("compute.precision=fp32", "compute.engine=torch", "compute.compile=false", "compute.fold=false")
MODES = {  # what each sets beside fp32 and torch; folded or not as the command line says, but for the first
    "fold": ("compute.fold=true",),
    "tf32": ("compute.precision=tf32",),
    "bf16": ("compute.precision=bf16",),
    "onnxruntime": ("compute.engine=onnxruntime",),
    "compile": ("compute.engine=compile",),
}
OF_SCORE = ["method", "metric", "quantity"]


@dataclass(frozen=True)
class Scores:
    """values: [image, (method, metric, quantity)], NaN where an image failed.  seen: the class of each image."""

    values: pd.DataFrame
    seen: list[int]


@dataclass(frozen=True)
class Mode:
    name: str
    scores: Scores
    seconds: dict[str, list[float]]  # of each subject, in each round
    plain: dict[str, list[float]]  # of the same, beside them, in PLAIN


@dataclass(frozen=True)
class Compared:
    plain: Scores
    modes: list[Mode]
    left_out: dict[str, str]  # modes that this machine or network has not, and why


def compare(overrides: list[str], names: tuple[str, ...], rounds: int, read: Callable[[], float]) -> Compared:
    """The modes of these names.  overrides: the command line.  UserError: in PLAIN it does not run, either."""
    opened = {"": opened_in([*overrides, *PLAIN])}
    plain, scores, left_out = scored(opened[""], "fp32"), {}, {}
    for name in names:
        try:
            jobs = opened_in([*overrides, *PLAIN[:-1], *MODES[name]])
            if name == "tf32" and jobs[0].compute.device.type != "cuda":
                raise UserError("TF32 is of NVIDIA's GPUs")
            scores[name] = scored(jobs, name)
            opened[name] = jobs
        except UserError as error:
            left_out[name] = str(error).rstrip(".")
            print(f"Left out: {name}. {error}", file=sys.stderr)
    beside = {name: opened[name] for name in ("", *scores)}
    seconds = dict(tqdm(timed(beside, rounds, read), desc="modes", unit="subject", disable=None))
    modes = [
        Mode(name, found, *({s: by[m] for s, by in seconds.items()} for m in (name, "")))
        for name, found in scores.items()
    ]
    return Compared(plain, modes, left_out)


def opened_in(overrides: list[str]) -> list[Job]:
    return study.cells(overrides, ("ig",))[0]


def in_precision(job: Job, work: Work) -> Work:
    """A work of that job among those of others: the precision of convolutions is torch's, not a network's."""

    def done() -> object:
        set_precision(job.config.cfg.compute.precision)
        return work()

    return done


def scored(jobs: list[Job], name: str) -> Scores:
    """All images of the run, by every method and metric.  jobs: of one network and its images."""
    first, found, seen = jobs[0], [], []
    set_precision(first.config.cfg.compute.precision)
    for batch in tqdm(study.batches(first), desc=name, unit="batch", disable=None):
        n = len(batch.ids)
        facts, target = predict(first, batch, batch.x)
        seen += [fact["prediction"] for fact in facts]
        columns: dict[tuple, np.ndarray] = {}
        for job in jobs:
            maps, told = attribute(job, batch.x, target, batch.padded_ids, n)
            whole = np.array([fact["status"] == "ok" for fact in told])
            given = to_score(job, batch, batch.x, target, maps)
            for metric in first.metrics:
                with job.compute.scoring():
                    values = score(first, given, metric)
                for quantity, series in _quantities(first, metric, values, n):
                    columns[job.method_name, metric, quantity] = np.where(whole, series, np.nan)
        found.append(pd.DataFrame(columns, index=batch.ids))
    if not found:
        raise UserError("There is no image to compare modes with.")
    table = pd.concat(found)
    table.columns = pd.MultiIndex.from_tuples(table.columns, names=OF_SCORE)
    return Scores(table, seen)  # type: ignore[arg-type]


def timed(jobs: Mapping[str, list[Job]], rounds: int, read: Callable[[], float]) -> Iterator[tuple[str, dict]]:
    """For each method and metric the seconds of its first batch in each mode, the modes alternating."""
    now = clock(jobs[""][0], read)
    works: dict[str, dict[str, Work]] = {}
    for mode, of_mode in jobs.items():
        set_precision(of_mode[0].config.cfg.compute.precision)
        for subject in subjects(of_mode, first_batch(of_mode[0])):
            works.setdefault(str(subject), {})[mode] = in_precision(of_mode[0], subject.work)
    for name, by_mode in works.items():
        yield name, alternating(by_mode, rounds, now)


def _quantities(job: Job, metric: str, values: Mapping[str, np.ndarray], n: int) -> Iterator[tuple[str, pd.Series]]:
    """What the metric says of its first n images, by name."""
    rows = pd.DataFrame({name: column[:n] for name, column in values.items() if column.ndim == 1})
    for name, kind in of_metric(metric, job.config.cfg.metric[metric]).items():
        yield name, means.values(rows, name, kind)
