"""The rows of results/reference, circle by circle: `python -m bench.reference data.root=DIR`

    python -m bench.reference data.root=DIR [circles=a,b] [processes=1] [images=N] [minutes=M] [KEY=VALUE ...]

circles: which of conf/experiment/reference_*.yaml, in this order; all, if it is not said.
processes: how many work side by side, on one GPU, which two fill, or on the cores of this machine.
images: of a unit of work and a batch; 4 on a CPU and 20 on a GPU, if it is not said.
minutes: after which nothing new is begun.
KEY=VALUE as for bench.run, of all circles: compute.device=cuda, data.limit=8, experiment.methods=[sg], paths.results=DIR.

Each class has its turn in the order of images, and the first images of all methods come before the next of any. What is
there is not computed again: the command goes on from whatever rows it finds, its own or committed ones. data.root is that of
LA's released images; the last circle's photographs need none. `python -m bench.store compact DIR curves=false` makes small
what is to be committed.
"""

import datetime
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from omegaconf import OmegaConf

from bench.choices import CONF
from bench.cli import command
from bench.config import load
from bench.cores import cores_here
from bench.errors import UserError, did_you_mean
from bench.launching.processes import THREADS, told_when_orphaned
from bench.reference.units import Outcome, Unit, carry_out, given, units
from bench.running.compute import find_device
from bench.text import duration, plural

PREFIX = "reference_"
RESULTS = "results/reference"
ON_CPU, ON_GPU = 4, 20  # images of a unit
OWN = ("circles", "processes", "images", "minutes")


def main(arguments: list[str]) -> int:
    """Exit status: 1, if an image failed or something has to be put right."""
    own = {key: value for key, _, value in (word.partition("=") for word in arguments) if key in OWN}
    overrides = [word for word in arguments if word.partition("=")[0] not in OWN]
    if not given(overrides, "paths.results"):
        overrides.append(f"paths.results={RESULTS}")
    processes, minutes = _number(own, "processes", 1), _number(own, "minutes", 0)
    began = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    todo = [unit for circle in circles(own.get("circles")) for unit in _units(circle, overrides, own, began)]
    print(f"{plural(len(todo), 'unit')} of work, {plural(processes, 'process')}.", file=sys.stderr)
    return _told(todo, _done(todo, processes, time.monotonic() + 60 * minutes if minutes else None))


def circles(wanted: str | None) -> list[str]:
    """The experiments of these circles, a,b, or of all. UserError: there is no such circle."""
    known = sorted(file.stem.removeprefix(PREFIX) for file in (CONF / "experiment").glob(f"{PREFIX}*.yaml"))
    asked = [name.strip() for name in wanted.strip("[]").split(",")] if wanted else known
    if strange := [name for name in asked if name not in known]:
        raise UserError(
            f"circles={wanted}: there is no circle {strange[0]}; there are {', '.join(known)}."
            f"{did_you_mean(strange[0], known)}"
        )
    return [PREFIX + name for name in sorted(asked)]


def _number(own: dict[str, str], key: str, default: int) -> int:
    value = own.get(key)
    if value is None:
        return default
    if not (value.isdecimal() and int(value)):
        raise UserError(f"{key}={value}: expected a whole number, 1 or more.")
    return int(value)


def _units(circle: str, overrides: list[str], own: dict[str, str], began: str) -> list[Unit]:
    if "root" not in OmegaConf.to_container(load([f"experiment={circle}"]).cfg.data) and not given(overrides, "data"):
        overrides = [word for word in overrides if not word.startswith("data.root=")]  # photographs have none
    device = find_device(load([f"experiment={circle}", *overrides]).cfg.compute.device)
    usual = ON_GPU if device.type == "cuda" else ON_CPU
    return units(circle, [*overrides, "compute.workers=0"], _number(own, "images", usual), began)


def _done(todo: Sequence[Unit], processes: int, until: float | None) -> Iterator[tuple[Unit, Outcome]]:
    """Each unit with what became of it, as they end; those that were not begun before `until` are left out."""
    with _pool(processes) as pool:
        waiting, running = list(reversed(todo)), dict[Future, Unit]()
        refused: set[str] = set()
        while waiting or running:
            while waiting and len(running) < processes and (until is None or time.monotonic() < until):
                unit = waiting.pop()
                if unit.name not in refused:
                    running[pool.submit(carry_out, unit)] = unit
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                unit = running.pop(future)
                try:
                    outcome = future.result()
                except BrokenProcessPool as error:
                    raise UserError(
                        f"A process ended without a word, as one that takes too much memory does, while {unit.name} was "
                        "computed; the same command goes on from what is stored. Fewer processes= or images= take less."
                    ) from error
                refused |= {unit.name} if outcome.refused else set()
                yield unit, outcome


class Here(Executor):
    """This process itself, which does at once what it is given."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def _pool(processes: int) -> Iterator[Executor]:
    """Processes that share the cores of this machine, and end with this one, if it is more than one that is asked for."""
    if processes == 1:
        yield Here()
        return
    threads = str(max(1, cores_here() // processes))
    os.environ.update({name: threads for name in THREADS if name not in os.environ})
    initializer = told_when_orphaned if sys.platform == "linux" else None
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=initializer)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _told(todo: Sequence[Unit], done: Iterator[tuple[Unit, Outcome]]) -> int:
    """What becomes of the units, said as they end. The exit status."""
    start, ended, failed, wrong = time.monotonic(), 0, dict[str, str](), dict[str, str]()
    for ended, (unit, outcome) in enumerate(done, 1):
        said = plural(outcome.images, "image") if outcome.images else "nothing to do"
        if outcome.refused:
            said = f"left out. {outcome.refused}"
        elif outcome.error:
            said, wrong[unit.name] = f"error: {outcome.error}", outcome.error
        failed |= {f"{unit.name}, {image}": why for image, why in outcome.failed.items()}
        print(
            f"{ended} of {len(todo)}, {duration(time.monotonic() - start)}: {unit.name}: {said}",
            file=sys.stderr,
            flush=True,
        )
    print(f"{ended:,} of {plural(len(todo), 'unit')} done or left out in {duration(time.monotonic() - start)}.")
    for what, why in [*failed.items(), *wrong.items()]:
        print(f"  {what}: {why}")
    return int(bool(failed or wrong))


if __name__ == "__main__":
    command(__doc__, main)
