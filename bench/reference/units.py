"""The work of a circle in units, a row of its table on a few images each, and how a process does one.

Image by image: the first images of all rows come before the next ones of any, so that what is there when the work is cut off
can be compared.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from omegaconf import DictConfig

from bench.choices import files
from bench.config import Config, load
from bench.errors import Refused, UserError, did_you_mean
from bench.experiments.plan import Cell, cells
from bench.experiments.sweep import of_cell
from bench.images.preprocessing import Preprocessing
from bench.images.source import open_source
from bench.reference.order import fair, pieces
from bench.running.forecast import USUAL_SIZE
from bench.running.job import Job, open_job
from bench.running.runner import run, try_engine
from bench.running.work import Work, missing
from bench.seeds import Seeds
from bench.store import records
from bench.store.heartbeat import Heartbeat

A_BATCH = 600.0  # seconds that one may take before a process that is at it counts as gone


@dataclass(frozen=True)
class Unit:
    overrides: tuple[str, ...]  # that compose the row's configuration
    name: str  # in words: reference_a: la on efficientnet_lite0
    images: tuple[str, ...]
    metrics: tuple[str, ...]  # that score these images
    began: str  # when the command was given, in ISO 8601: a run's record has an entry for each command
    pass_over: bool = False  # whether a method that refuses the network is left out


@dataclass(frozen=True)
class Outcome:
    """What became of a unit."""

    images: int = 0  # that were computed
    failed: Mapping[str, str] = field(default_factory=dict)  # of these, and why
    refused: str = ""  # by the method: it cannot explain this network
    error: str = ""  # what the user has to put right


def units(circle: str, overrides: list[str], size: int, began: str) -> list[Unit]:
    """Of an experiment, in the order in which they are to be done.  size: images of a unit, and of a batch."""
    config = load([f"experiment={circle}", *overrides])
    plan, table = config.cfg.experiment, cells(config.cfg.experiment)
    first = _first(plan)
    ids = in_order(config)
    stretches = pieces(len(ids), size, first.values())
    width = [] if given(overrides, "compute.batch_size") else [f"compute.batch_size={max(map(len, stretches))}"]
    return [
        _unit(config, [*config.overrides, *width, f"experiment.cell={k}"], cell, ids, stretch, first, began)
        for stretch in stretches
        for k, cell in enumerate(table)
    ]


def _first(plan: DictConfig) -> dict[str, int]:
    """{metric: how many images it is played on}, where they are not all. UserError: no such metric, or no such number."""
    found = dict(plan.get("first") or {})
    known = files("metric")
    for metric, images in found.items():
        if metric not in known:
            raise UserError(f"experiment.first: there is no metric {metric}.{did_you_mean(str(metric), known)}")
        if not isinstance(images, int) or isinstance(images, bool) or images < 1:
            raise UserError(f"experiment.first.{metric}={images}: expected a whole number of images, 1 or more.")
    return found


def in_order(config: Config) -> list[str]:
    """The images of an experiment, the first data.limit of a fair order; those that data.ids names, as they are named."""
    cfg = config.cfg
    chosen = cfg.data.copy()
    limit, chosen.limit = chosen.limit, None
    size = cfg.model.size or USUAL_SIZE
    source, ids = open_source(chosen, Preprocessing(size, size), Seeds.of(cfg.run).images)
    if chosen.ids is None and chosen.subset is None:
        ids = fair(ids, {image: source.label(image) for image in ids}, Seeds.of(cfg.run).images)
    return ids[:limit]


def given(overrides: list[str], key: str) -> bool:
    return any(override.startswith(f"{key}=") for override in overrides)


def _unit(
    config: Config, overrides: list[str], cell: Cell, ids: list[str], stretch: range, first: Mapping, began: str
) -> Unit:
    return Unit(
        overrides=tuple(overrides),
        name=f"{config.cfg.experiment.name}: {cell.row.label} on {cell.model}",
        images=tuple(ids[k] for k in stretch),
        metrics=tuple(metric for metric in cell.metrics if stretch.stop <= first.get(metric, len(ids))),
        began=began,
        pass_over=bool(config.cfg.experiment.get("pass_over")),
    )


_opened: dict[tuple[str, ...], tuple[Job, set[str]]] = {}  # of this process, so that a network is opened once a row


def carry_out(unit: Unit) -> Outcome:
    """Whatever of the unit is not done already."""
    try:
        job, recorded = _job(unit)
        lacking = wanting(job, unit)
        if lacking:
            try_engine(job, lacking)
        for metric in {metric for metrics in lacking.values() for metric in metrics} - recorded:
            if not _continued(job, metric, unit.began):
                job.record(metric)
            recorded.add(metric)
        return _computed(job, lacking) if lacking else Outcome()
    except Refused as error:
        return Outcome(refused=str(error)) if unit.pass_over else Outcome(error=str(error))
    except UserError as error:
        return Outcome(error=str(error))


def wanting(job: Job, unit: Unit) -> Work:
    """What of the unit is not done: image -> the metrics that it lacks."""
    job.ids = list(unit.images)
    unsaved = {image for image in unit.images if job.save_attributions and not job.maps.has(image)}
    left = {image: tuple(m for m in metrics if m in unit.metrics) for image, metrics in missing(job).items()}
    return {image: metrics for image, metrics in left.items() if metrics or image in unsaved}


def _job(unit: Unit) -> tuple[Job, set[str]]:
    if unit.overrides not in _opened:
        _opened[unit.overrides] = open_job(of_cell(load(list(unit.overrides)))), set()
    return _opened[unit.overrides]


def _continued(job: Job, metric: str, began: str) -> bool:
    """Whether another process of the same command has written its entry into the run's record."""
    record = records.read(job.results / "runs" / f"{job.run_id(metric)}.yaml")
    sessions = [record, *record.get("continued", [])] if record else []
    then = datetime.datetime.fromisoformat(began)
    return any(datetime.datetime.fromisoformat(str(session["created"])) >= then for session in sessions)


def _computed(job: Job, lacking: Work) -> Outcome:
    failed: dict[str, str] = {}
    left = len(lacking)
    runs = [job.run_id(metric) for metric in job.metrics]
    with Heartbeat(job.results, job.config.names, runs, left, A_BATCH) as heart:
        for progress in run(job, lacking):
            left -= progress.images
            failed |= progress.failed
            heart.beat(left)
    return Outcome(len(lacking), failed)
