"""Slurm: one array, a job with a part each, by nothing but `sbatch`. A job that is preempted, whose node fails, or that
comes to its time limit goes back to the queue; what it had stored is not computed twice.

The nodes need this folder, the results and the same Python at the same paths, as on a shared file system. How a part ended
lies in a file.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from bench.errors import UserError
from bench.launching.part import End, Part, Settings
from bench.launching.processes import ended
from bench.ranges import Between

LOOK, ASK = 2.0, 20.0  # seconds between two looks for files, and between two questions to Slurm
GONE = 2  # questions in a row after which a job that Slurm does not know has gone
NOTICE = 60  # seconds before the time limit

SCRIPT = """#!/bin/bash
# A job of the array. $1: the folder of its commands; $2: how often it may come to its time limit.
k=$SLURM_ARRAY_TASK_ID
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$SLURM_CPUS_PER_TASK}
back_to_the_queue() {
  echo >>"$1/$k.limits"
  if [ "$(wc -l <"$1/$k.limits")" -le "$2" ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$k"
    sleep 600 # until Slurm ends it
  fi
}
trap 'back_to_the_queue "$1" "$2"' USR1
bash "$1/$k.sh" &
wait $!
status=$?
if [ $status -lt 128 ]; then # else it was killed: where it is in the queue again, it goes on
  echo $status >"$1/$k.part" && mv "$1/$k.part" "$1/$k.exit"
fi
exit $status
"""


class Slurm(Settings):
    minutes: Annotated[int, Between(1, 525_600)]
    requeues: Annotated[int, Between(0, 10_000)]
    at_once: Annotated[int, Between(1, 10_000)]
    gpus: Annotated[int, Between(0, 64)]
    cpus: Annotated[int, Between(1, 1024)]
    memory: str | None
    partition: str | None
    options: list[str]


def run(parts: Sequence[Part], settings: Slurm, folder: Path) -> Iterator[tuple[Part, End]]:
    """folder: of the parts' logs; the jobs' commands and ends lie beside them.  UserError: Slurm does not take them."""
    jobs = folder / "jobs"
    jobs.mkdir(parents=True)
    (jobs / "array.sh").write_text(SCRIPT)
    for k, part in enumerate(parts):
        (jobs / f"{k}.sh").write_text(_commands(part))
    array = _submit(len(parts), settings, jobs)
    print(
        f"Slurm has them as job {array}; ending this command does not end its jobs, scancel {array} does.",
        file=sys.stderr,
    )
    waiting, unknown, asked = dict(enumerate(parts)), dict.fromkeys(range(len(parts)), 0), time.monotonic()
    while waiting:
        time.sleep(LOOK)
        for k in [k for k in waiting if (jobs / f"{k}.exit").exists()]:
            yield waiting.pop(k), ended(int((jobs / f"{k}.exit").read_text()))
        if time.monotonic() - asked < ASK:
            continue
        asked, queued = time.monotonic(), _queued(array)
        for k in list(waiting) if queued is not None else ():
            unknown[k] = 0 if k in queued else unknown[k] + 1  # type: ignore[operator]
            if unknown[k] >= GONE and not (jobs / f"{k}.exit").exists():
                yield waiting.pop(k), End(None, f"job {array}_{k} is gone: cancelled, or at its limit once too often")


def _commands(part: Part) -> str:
    log = shlex.quote(str(part.log))
    variables = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in part.environment)
    return (
        f"{variables}cd {shlex.quote(part.folder)} || exit 1\nexec {shlex.join(part.command)} >>{log} 2>&1 </dev/null\n"
    )


def _submit(n: int, settings: Slurm, jobs: Path) -> str:
    """The array's number."""
    asked = {
        "array": f"0-{n - 1}%{settings['at_once']}",
        "job-name": "heatproof",
        "time": str(settings["minutes"]),
        "signal": f"B:USR1@{min(NOTICE, 30 * settings['minutes'])}",
        "cpus-per-task": str(settings["cpus"]),
        "gres": f"gpu:{settings['gpus']}" if settings["gpus"] else None,
        "mem": settings["memory"],
        "partition": settings["partition"],
        "output": str(jobs / "%a.out"),
    }
    command = ["sbatch", "--parsable", "--requeue", "--open-mode=append", "--ntasks=1", "--nodes=1"]
    command += [f"--{name}={value}" for name, value in asked.items() if value is not None]
    command += [f"--{option.lstrip('-')}" for option in settings["options"]]
    try:
        done = subprocess.run(
            [*command, str(jobs / "array.sh"), str(jobs), str(settings["requeues"])], capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise UserError(
            "hydra/launcher=slurm_gpu: there is no sbatch on this machine; start it where you submit jobs from."
        ) from error
    if done.returncode:
        raise UserError(
            f"hydra/launcher=slurm_gpu: Slurm does not take the jobs: {' '.join(done.stderr.split())[:300]}"
        )
    return done.stdout.strip().partition(";")[0]


def _queued(array: str) -> set[int] | None:
    """Those of its jobs that wait or run; None: Slurm does not answer."""
    done = subprocess.run(
        ["squeue", "--noheader", "--array", f"--jobs={array}", "--format=%K"], capture_output=True, text=True
    )
    if done.returncode and "Invalid job id" not in done.stderr:  # which it says when all have ended
        return None
    return {int(word) for word in done.stdout.split() if word.isdigit()}
