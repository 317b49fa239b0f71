"""Where the time goes: what a method or a metric takes beside the passes of the network that it makes.

    python -m bench.profile model=efficientnet_lite0 data=photos method=sg,ig 'metric=[unified]'

The floor is what these passes cost by themselves: forward, forward and backward, forward and twice backward, at the best
of a few widths. Efficiency is floor / measured, both in this process, one after the other, again and again; seconds of a
machine that others use say little, their ratio much. Besides: how long a process takes until its first image, the most
memory that it holds (each in a process of its own), and how cost grows with images, steps, classes and pixels.
Takes what `bench.run` takes; method=a,b is a list, and

    rounds=5                               times that everything is measured
    growth=images,steps,classes,pixels     axes along which cost is followed; growth=none leaves them out
    alone=true                             false: no process of its own for each method and metric
    modes=none                             faster modes to set beside fp32 by torch, unfolded: modes=all, or some of
                                           fold,tf32,bf16,onnxruntime,compile

A mode computes all of the run's images by every method and metric: how far each score moves, whether methods change places,
and how many times as fast it is.

Writes <results>/report/profile.md, .csv, .tex and .json.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm

import bench
from bench.cli import command
from bench.errors import UserError
from bench.profile import tables
from bench.profile.alone import Alone, alone
from bench.profile.alternating import alternating
from bench.profile.floor import at_width, best_width, clock, counted, floor_of, passes
from bench.profile.growth import AXES, Grown, axes, grown
from bench.profile.modes import MODES, compare
from bench.profile.subjects import METHOD, METRIC, first_batch, subjects
from bench.profile.tables import Measured
from bench.report.document import Document
from bench.running.job import Job
from bench.studies import study
from bench.text import plural
from bench.typed import made_again

ROUNDS = 5
BATCHES = 4  # that a process of its own computes, to see whether memory stays as it is


@dataclass(frozen=True)
class Wanted:
    """The keys that no other command has."""

    rounds: int
    growth: tuple[str, ...]
    alone: bool
    modes: tuple[str, ...]

    @classmethod
    def of(cls, overrides: list[str]) -> tuple["Wanted", list[str]]:
        """And the rest of the command line."""
        rounds, rest = study.listed(overrides, "rounds", (str(ROUNDS),))
        growth, rest = study.listed(rest, "growth", AXES)
        own, rest = study.listed(rest, "alone", ("true",))
        modes, rest = study.listed(rest, "modes", ("none",))
        growth = () if growth == ("none",) else growth
        modes = () if modes == ("none",) else tuple(MODES) if modes == ("all",) else modes
        if not (len(rounds) == 1 and rounds[0].isdecimal() and int(rounds[0])):
            raise UserError(f"rounds={','.join(rounds)}: expected a number of times, 1 or more.")
        if strange := [name for name in growth if name not in AXES]:
            raise UserError(f"growth={strange[0]}: expected some of {', '.join(AXES)}, or none.")
        if own not in (("true",), ("false",)):
            raise UserError(f"alone={','.join(own)}: expected true or false.")
        if strange := [name for name in modes if name not in MODES]:
            raise UserError(f"modes={strange[0]}: expected some of {', '.join(MODES)}, all, or none.")
        return cls(int(rounds[0]), growth, own == ("true",), modes), rest


def main(arguments: list[str]) -> None:
    document, results = make(arguments)
    files = document.save(results / "report")
    print(files[0].read_text(encoding="utf-8"))
    print(*files, sep="\n")


def make(overrides: list[str], read: Callable[[], float] = time.perf_counter) -> tuple[Document, Path]:
    """read: the clock, in seconds."""
    wanted, rest = Wanted.of(overrides)
    found = study.cells(rest, ("ig",))
    if len(found) > 1:
        raise UserError("model= names several networks; profile one after the other.")
    jobs, others = found[0], study.listed(rest, "method", ())[1]
    width, measured = measure(jobs, wanted.rounds, read)
    alone_too = tqdm(in_processes(jobs, others), desc="alone", unit="process", disable=None)
    processes = dict(alone_too) if wanted.alone else {}
    each = [jobs[0], *(replace(job, metrics={}) for job in jobs[1:])]  # metrics once
    growing = [one for job in tqdm(each, desc="growth", disable=None) for one in growth(job, others, wanted, read)]
    first = jobs[0]
    modes = compare(rest, wanted.modes, wanted.rounds, read) if wanted.modes else None
    facts = [
        f"Network: {first.config.names['model']}, {first.network.preprocessing.size} pixels; "
        f"{first.compute.batch_size} images a pass, the floor at {width}.",
        f"Settings: precision {first.config.cfg.compute.precision}, device {first.compute.device_name}, "
        f"{plural(torch.get_num_threads(), 'thread')}; Heatproof {bench.__version__}.",
        f"Everything {wanted.rounds} times, alternating. Floor: the network's own passes, as many as are made.",
        *([f"Left out: {mode} ({why})." for mode, why in modes.left_out.items()] if modes else []),
        f"{made_again('bench.profile', overrides)}.",
    ]
    return tables.document(measured, processes, growing, modes, facts), first.results


def measure(jobs: list[Job], rounds: int, read: Callable[[], float]) -> tuple[int, list[Measured]]:
    """The width of the floor, and every method and metric beside it."""
    first, on = jobs[0], first_batch(jobs[0])
    now = clock(first, read)
    width = best_width(first, on.x, on.target, now)
    floor, measured = passes(first, *at_width(on.x, on.target, width)), []
    for subject in tqdm(subjects(jobs, on), desc="efficiency", unit="subject", disable=None):
        counts = counted(first, subject.work)
        seconds = alternating({**floor, str(subject): subject.work}, rounds, now)
        own = seconds.pop(str(subject))
        measured.append(Measured(subject, counts, len(on.x), width, own, floor_of(counts, seconds, width), seconds))
    return width, measured


def in_processes(jobs: list[Job], overrides: list[str]) -> Iterator[tuple[str, Alone]]:
    """Each method by itself, its maps kept; each metric with the first method."""
    rest = [override for override in study.listed(overrides, "metric", ())[1] if not override.startswith("metric.")]
    rest += [f"data.limit={BATCHES * jobs[0].compute.batch_size}"]
    for job in jobs:
        maps_alone = ["metric=[]", "run.save_attributions=true"]
        yield f"{METHOD} {job.method_name}", alone([*rest, f"method={job.method_name}", *maps_alone])
    for metric in jobs[0].metrics:
        own = [override for override in overrides if override.startswith(f"metric.{metric}.")]
        asked = [f"method={jobs[0].method_name}", f"metric=[{metric}]"]
        yield f"{METRIC} {metric}", alone([*rest, *asked, *own])


def growth(job: Job, overrides: list[str], wanted: Wanted, read: Callable[[], float]) -> list[Grown]:
    on, now = first_batch(job), clock(job, read)
    return [grown(axis, wanted.rounds, now) for name in wanted.growth for axis in axes(job, on, overrides, name)]


if __name__ == "__main__":
    command(__doc__, main)
