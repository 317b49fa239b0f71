"""A sweep, started: every job of it cut by its forecast cost into command lines, which an engine runs, the dearest first.

The engines are presets in conf/hydra/launcher/. A part is `python -m bench.run …`, no more: it opens its own network, knows
what is done already, and its rows are on disk batch by batch, so that an engine may kill it at any time.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import torch
from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from bench.config import Config, load
from bench.errors import UserError, did_you_mean
from bench.experiments.sweep import of_cell, outlook
from bench.launching import on_ray, on_slurm, processes
from bench.launching.part import Cut, End, Part, cut, lasts
from bench.ranges import checked
from bench.running.forecast import Cost
from bench.text import duration, plural, slug

Ends = Iterator[tuple[Part, End]]
SHARED = "bench.run"  # the program whose jobs can be shared out by run.shard


@dataclass(frozen=True)
class Engine:
    """settings: its keys in conf/hydra/launcher and their ranges. device: what parts compute on for `auto`."""

    settings: type
    device: Callable[[Any], str]
    run: Callable[[list[Part], Any, Path], Ends]
    workers: Callable[[Any], int | None] = lambda settings: None  # how many parts at once, where that is known
    asks: tuple[str, ...] = ()  # of each part besides
    cores: Callable[[Any], int] = lambda settings: torch.get_num_threads()  # of each part


ENGINES = {
    "local_gpus": Engine(
        processes.Gpus,
        device=lambda settings: "cuda",
        run=lambda parts, settings, _: processes.run(parts, processes.gpu_places(settings), settings["retries"]),
        workers=lambda settings: len(processes.gpu_places(settings)),
    ),
    "cpu_cores": Engine(
        processes.Cores,
        device=lambda settings: "cpu",
        run=lambda parts, settings, _: processes.run(parts, processes.core_places(settings), settings["retries"]),
        workers=lambda settings: len(processes.core_places(settings)),
        asks=("compute.workers=0",),
        cores=lambda settings: settings["cores"],
    ),
    "ray_gpu": Engine(
        on_ray.Ray,
        device=lambda settings: "cuda" if settings["gpus"] else "cpu",
        run=lambda parts, settings, _: on_ray.run(parts, settings),
    ),
    "slurm_gpu": Engine(
        on_slurm.Slurm,
        device=lambda settings: "cuda" if settings["gpus"] else "cpu",
        run=on_slurm.run,
        workers=lambda settings: settings["at_once"],
    ),
}


def launch(name: str, settings: dict, config: DictConfig, program: list[str], jobs: list[list[str]]) -> None:
    """Run every job, a list of overrides each, by this program. CompactHydraException: some failed; the others are done."""
    signal.signal(signal.SIGTERM, _told_to_end)
    try:
        _launch(name, settings, config, program, jobs)
    except UserError as error:
        raise CompactHydraException(f"error: {error}") from error
    except KeyboardInterrupt as end:
        print("Interrupted. What is stored stays; the same command goes on from there.", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(end, _Terminated) else signal.SIGINT))


class _Terminated(KeyboardInterrupt):
    """By SIGTERM, which no terminal passes on to the processes of the parts."""


def _told_to_end(*_: object) -> NoReturn:
    raise _Terminated


def _launch(name: str, settings: dict, config: DictConfig, program: list[str], jobs: list[list[str]]) -> None:
    if name not in ENGINES:
        raise UserError(f"hydra.launcher.engine={name}: there is no such engine.{did_you_mean(name, ENGINES)}")
    engine = ENGINES[name]
    found: Any = checked(engine.settings, settings, "hydra.launcher")
    asks = [*engine.asks, *_device(config.compute.device, engine.device(found), name)]
    workers, folder = engine.workers(found), Path(config.paths.results).absolute() / "sweeps" / _now()
    with _on(engine.cores(found)):
        parts = _parts(program, [[*job, *asks] for job in jobs], found["shards"], workers, folder)
    print(f"{plural(len(parts), 'part')}. What each says: {folder}/", file=sys.stderr)
    failed = []
    for n, (part, end) in enumerate(engine.run(parts, found, folder), 1):
        print(
            f"{n} of {len(parts)}: {part.name}: {'done' if end.done else told(part, end)}", file=sys.stderr, flush=True
        )
        failed += [] if end.done else [part]
    if failed:
        raise UserError(
            f"{len(failed)} of {plural(len(parts), 'part')} failed ({failed[0].name}: {failed[0].log}); the same command "
            "tries them again."
        )


@contextmanager
def _on(cores: int) -> Iterator[None]:
    """What is timed within is timed on so many cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(asked: str, given: str, name: str) -> list[str]:
    """So that `auto` never means a CPU where GPUs were meant. UserError: the engine does not give what was asked for."""
    if asked == "auto":
        return [f"compute.device={given}"]
    if ":" in asked or (asked == "cuda" and given == "cpu"):
        raise UserError(
            f"compute.device={asked}: hydra/launcher={name} says itself what each part computes on; leave it out."
        )
    return []


def _parts(program: list[str], jobs: list[list[str]], shards: int, workers: int | None, folder: Path) -> list[Part]:
    """Cut by what each costs, the dearest first; as they are, where nobody can tell."""
    cuts, names = [Cut(k, 0, 1) for k in range(len(jobs))], [" ".join(job) for job in jobs]
    if program[-1] == SHARED:
        try:
            configs = [of_cell(load(job)) for job in jobs]
            names = [f"{config.names['method']} on {config.names['model']}" for config in configs]
            costs, said = outlook(configs, "job")
            cuts = cut(costs, shards if _whole(configs) else 1)
            print(f"{said}{_until(costs, cuts, workers)}", file=sys.stderr)
        except UserError:
            pass  # the part itself will say what is wrong
        except Exception as error:  # a forecast is no reason not to run
            print(f"No forecast, so each job is a part: {error}", file=sys.stderr)
    return [_part(program, jobs[each.job], names[each.job], each, folder) for each in cuts]


def _part(program: list[str], job: list[str], name: str, each: Cut, folder: Path) -> Part:
    told, share = f"{name}, job {each.job}", []
    if each.n > 1:
        told, share = f"{told}, part {each.i + 1} of {each.n}", [f"run.shard={each.i}/{each.n}"]
    return Part(
        name=told,
        command=(*program, *job, *share, "hydra.mode=RUN"),
        folder=os.getcwd(),
        log=folder / f"{slug(told)[:100]}.log",
    )


def _whole(configs: Sequence[Config]) -> bool:
    """Whether nobody has asked for a share of the images only."""
    return all(int(str(config.cfg.run.shard).partition("/")[2]) == 1 for config in configs)


def _until(costs: Sequence[Cost], cuts: Sequence[Cut], workers: int | None) -> str:
    seconds = [(costs[each.job].seconds, each.n) for each in cuts]
    if workers is None or any(whole is None for whole, _ in seconds):
        return ""
    return f" {plural(workers, 'part')} at once: about {duration(lasts([whole / n for whole, n in seconds], workers))}."  # type: ignore[operator]


def _now() -> str:
    return f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"


def told(part: Part, end: End) -> str:
    """Why it failed, in the last line that it said."""
    try:
        lines = part.log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    said = [line.strip() for line in lines if line.strip() and "HYDRA_FULL_ERROR" not in line]
    last = said[-1] if said else "it said nothing"
    return f"failed ({end.why}): {last[:300]}"
