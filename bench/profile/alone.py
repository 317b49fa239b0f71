"""One run in a process of its own, as a user starts it: how long until it begins, and how much memory it ever holds.

`python -m bench.profile.alone OVERRIDES` is that process: it says when it is ready, and then, a line a batch, the most bytes
so far. On a GPU those are of its tensors; else of the whole process.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import torch

from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.running.compute import Compute
from bench.running.job import open_job
from bench.running.runner import run
from bench.running.work import missing

READY = "ready"


@dataclass(frozen=True)
class Alone:
    start: float  # seconds from nothing to the first image
    peaks: list[int]  # bytes, after each batch; 0 where the system does not tell


def alone(overrides: list[str]) -> Alone:
    """UserError: what such a run says is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        command_line = [sys.executable, "-m", "bench.profile.alone", *overrides, f"paths.results={folder}"]
        start, ready, said = time.perf_counter(), 0.0, []
        with subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            for line in child.stdout:  # type: ignore[union-attr]
                if line.strip() == READY:
                    ready = time.perf_counter() - start
                elif line.startswith("peak "):
                    said.append(int(line.split()[1]))
            error = child.stderr.read().strip()  # type: ignore[union-attr]
    if child.returncode:
        raise UserError(error.splitlines()[-1].removeprefix("error: ") if error else "the run ended without a word")
    return Alone(ready, said)


def main(overrides: list[str]) -> None:
    job = open_job(load(overrides))
    print(READY, flush=True)
    for _ in run(job, missing(job)):
        print(f"peak {peak(job.compute)}", flush=True)


def peak(compute: Compute) -> int:
    """The most bytes that were held at any time until now."""
    if compute.device.type == "cuda":
        return torch.cuda.max_memory_allocated(compute.device)
    try:
        import resource
    except ImportError:  # not a Unix
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # there bytes, elsewhere KiB


if __name__ == "__main__":
    command(__doc__, main)
