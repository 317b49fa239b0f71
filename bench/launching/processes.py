"""Processes on this machine: one for each GPU, or one for so many cores. A GPU is chosen by the environment, before the
process imports torch, so that it sees no other."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import torch

from bench.cores import cores_here
from bench.errors import UserError
from bench.launching.part import End, Part, Settings
from bench.launching.queue import pulled
from bench.ranges import Between

ENDED = (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGKILL)  # exit statuses of what was told to end
PR_SET_PDEATHSIG = 1  # linux/prctl.h
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
VISIBLE = "CUDA_VISIBLE_DEVICES"
WAIT = 0.1  # seconds between two looks at the processes


class Gpus(Settings):
    gpus: list[int | str] | None
    retries: Annotated[int, Between(0, 100)]


class Cores(Settings):
    cores: Annotated[int, Between(1, 1024)]
    processes: Annotated[int, Between(1, 4096)] | None
    retries: Annotated[int, Between(0, 100)]


def gpu_places(settings: Gpus) -> list[dict[str, str]]:
    """What each process finds in its environment. UserError: there is no GPU."""
    names = settings["gpus"]
    if names is None:
        said = os.environ.get(VISIBLE)
        names = said.split(",") if said else range(torch.cuda.device_count()) if said is None else []  # type: ignore[assignment]
    if not names:
        raise UserError(
            "hydra/launcher=local_gpus: this machine shows no GPU to torch; hydra/launcher=cpu_cores takes its cores."
        )
    threads = max(1, cores_here() // len(names))
    return [{VISIBLE: str(name).strip()} | _threads(threads, forced=False) for name in names]


def core_places(settings: Cores) -> list[dict[str, str]]:
    processes = settings["processes"] or max(1, cores_here() // settings["cores"])
    return [_threads(settings["cores"], forced=True) for _ in range(processes)]


def _threads(n: int, *, forced: bool) -> dict[str, str]:
    return {name: str(n) for name in THREADS if forced or name not in os.environ}


def run(parts: Sequence[Part], places: Sequence[Mapping[str, str]], retries: int) -> Iterator[tuple[Part, End]]:
    with Processes(places) as workers:
        yield from pulled(parts, workers, retries)


class Processes:
    """One process at each place.

    places: what a process finds in its environment besides. They end with this process, however that ends: on Linux each is
    told to when it is gone; they store the batch in hand first.
    """

    def __init__(self, places: Sequence[Mapping[str, str]]):
        self.places = list(places)
        self.running: list[tuple[Part, Mapping[str, str], subprocess.Popen]] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        for *_, process in self.running:
            if kind is not KeyboardInterrupt:  # a terminal has told them already
                process.terminate()
        for *_, process in self.running:
            process.wait()

    def free(self) -> bool:
        return bool(self.places)

    def start(self, part: Part) -> None:
        place = self.places.pop(0)
        self.running.append((part, place, started(part, place)))

    def next_end(self) -> tuple[Part, End]:
        while True:
            for entry in self.running:
                part, place, process = entry
                if process.poll() is not None:
                    self.running.remove(entry)
                    self.places.append(place)
                    return part, ended(process.returncode)
            time.sleep(WAIT)


def started(part: Part, place: Mapping[str, str]) -> subprocess.Popen:
    part.log.parent.mkdir(parents=True, exist_ok=True)
    with part.log.open("ab") as log:
        return subprocess.Popen(
            part.command,
            cwd=part.folder,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=os.environ | dict(part.environment) | place,
            preexec_fn=told_when_orphaned if sys.platform == "linux" else None,
        )


def told_when_orphaned() -> None:
    """SIGTERM comes when the parent is gone, so that nobody works for nobody."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def ended(code: int) -> End:
    if code < 0 or code in ENDED:
        return End(None, f"killed by signal {-code if code < 0 else code - 128}")
    return End(code, "" if code == 0 else f"exit status {code}")
