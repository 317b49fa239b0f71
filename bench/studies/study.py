"""A figure that is computed in one go, without rows: what la_fig2 and aii_fig1 to aii_fig3 have in common.

A study takes what `bench.run` takes. `model=a,b` and `method=c,d` are lists, as in a sweep. It writes a table and a picture:
<results>/report/NAME.md, .csv, .tex, .json, .png and .pdf; the page over all reports shows it.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

import bench
from bench.config import load
from bench.errors import UserError
from bench.images.source import Batch
from bench.images.stream import stream
from bench.report import intervals
from bench.report.document import Document
from bench.report.exhibits.exhibit import Figure
from bench.report.table import Entry, measured
from bench.running.forecast import forecast
from bench.running.job import Job, bind, open_job
from bench.running.post import build_method
from bench.seeds import Seeds
from bench.text import duration
from bench.typed import made_again

Draw = Callable[[Path], list[Path]]  # <stem> to <stem>.png and <stem>.pdf


def write(document: Document, draw: Draw, results: Path) -> None:
    """The document with its picture, printed too.  results: the folder of that name."""
    folder = results / "report"
    drawn = draw(folder / document.name)
    figure = next(iter(document.figures), Figure(document.title))
    document.figures = [replace(figure, files=tuple(file.name for file in drawn))]
    paths = document.save(folder) + drawn
    print(paths[0].read_text(encoding="utf-8"))
    print(*paths, sep="\n")


def cells(overrides: list[str], methods: tuple[str, ...]) -> list[list[Job]]:
    """For each network a job for each method; cells of one network share it and its images.

    methods: unless the command line says method=.  A network's or a method's settings (method.steps=5) are those of all.
    """
    models, overrides = listed(overrides, "model", ())
    chosen, overrides = listed(overrides, "method", methods)
    found = []
    for model in models or (None,):
        of_model = [f"model={model}"] if model else []
        configs = [load([*overrides, *of_model, f"method={method}"]) for method in chosen]
        opened = [open_job(configs[0])]
        for config in configs[1:]:
            method = build_method(config.cfg.method)
            bind(method, opened[0].source, opened[0].seeds.images)
            opened.append(replace(opened[0], config=config, method=method))
        found.append(opened)
    return found


def listed(overrides: list[str], key: str, default: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """The values of `key=a,b` (or [a,b]), the last one if it is given twice, and the command line without it."""
    given = [override for override in overrides if override.startswith(f"{key}=")]
    rest = [override for override in overrides if override not in given]
    if not given:
        return default, rest
    values = given[-1].partition("=")[2].strip("[]").split(",")
    return tuple(dict.fromkeys(value.strip() for value in values if value.strip())) or default, rest


def batches(job: Job) -> Iterator[Batch]:
    """The cell's images where and how its network wants them. UserError: one that cannot be read; rows would remember
    it, a figure cannot.
    """
    for batch in stream(job.source, job.ids, job.compute.batch_size, job.compute.workers_for(len(job.ids))):
        for failure in batch.failures:
            raise UserError(f"{failure.error}. Every image that was asked for counts here: mend it, or name others.")
        if batch.ids:
            yield replace(batch, x=job.compute.place(batch.x))


def announce(title: str, parts: list[tuple[Job, int]]) -> None:
    """What it will cost.  parts: for each method how many maps."""
    forward = backward = 0
    seconds = 0.0
    for job, maps in parts:
        cost = forecast(job, [])
        forward, backward = forward + maps * cost.forward, backward + maps * cost.backward
        seconds += cost.seconds(maps, job.compute.batch_size)
    print(
        f"{title}.\nTo do: {forward:,} forward and {backward:,} backward passes at most: about {duration(seconds)}.",
        file=sys.stderr,
    )


def average(values: np.ndarray, draws: int) -> dict[str, float]:
    """[n] -> mean and its 95 % bootstrap interval; values that are NaN are counted as failed."""
    kept = values[~np.isnan(values)]
    low, high = intervals.interval(kept[:, None], draws=draws)[:, 0]
    mean = kept.mean() if len(kept) else np.nan
    return {"mean": mean, "ci_low": low, "ci_high": high, "n": len(kept), "failed": len(values) - len(kept)}


def shown(numbers: dict) -> Entry:
    """mean ± half of its interval."""
    return measured(numbers, digits=3)


def facts(opened: list[Job], images: str, script: str, overrides: list[str]) -> list[str]:
    """Where the numbers come from, and how to have them again.  images: how many of what."""
    first, cfg = opened[0], opened[0].config.cfg
    weights = ", ".join(f"{job.config.names['model']} {job.weights[:8]}" for job in opened)
    return [
        f"Data: {images}.",
        f"Settings: precision {cfg.compute.precision}, seed {Seeds.of(cfg.run).told()}, target {cfg.run.target}, device "
        f"{first.compute.device_name}; Heatproof {bench.__version__}, protocol {bench.PROTOCOL}.",
        f"Weights: {weights}.",
        interval(cfg),
        f"{again(script, overrides)}, and data.root= where the images lie.",
    ]


def again(script: str, overrides: list[str]) -> str:
    """The command that makes it."""
    return made_again(f"bench.studies.{script}", overrides)


def interval(cfg: DictConfig) -> str:
    return (
        f"Mean ± half of its 95 % interval (bootstrap, {cfg.report.bootstrap} resamples; below {intervals.FEW} values "
        "Student's t; both ends are in the CSV); none where there is but one value."
    )
