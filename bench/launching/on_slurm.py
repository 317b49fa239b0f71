"""Slurm, by submitit: a job array with a part each, one GPU a job. A job that is preempted, or comes to its time limit, goes
back to the queue; what it had stored is not computed twice.

The nodes need this folder, the results and the same Python at the same paths, as on a shared file system.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from bench.errors import UserError
from bench.launching.part import End, Part, Settings
from bench.launching.processes import ended, started
from bench.ranges import Between


class Slurm(Settings):
    cluster: Literal["slurm", "local", "debug"]
    minutes: Annotated[int, Between(1, 525_600)]
    requeues: Annotated[int, Between(0, 10_000)]
    at_once: Annotated[int, Between(1, 10_000)]
    gpus: Annotated[int, Between(0, 64)]
    cpus: Annotated[int, Between(1, 1024)]
    memory_gb: Annotated[float, Between(0, 100_000, above=True)] | None
    partition: str | None
    options: dict[str, str | int | float | bool]


class Run:
    """What a job does; submitit keeps it in a file and calls it on the node."""

    def __init__(self, part: Part):
        self.part = part

    def __call__(self) -> int:
        return started(self.part, {}).wait()

    def checkpoint(self) -> Any:
        """Asked for when the job's time is over or others go first: the same once more."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def run(parts: Sequence[Part], settings: Slurm, folder: Path) -> Iterator[tuple[Part, End]]:
    """folder: where submitit keeps its files and each job's output.  UserError: there is no Slurm here."""
    try:
        import submitit
    except ImportError as error:
        raise UserError('hydra/launcher=slurm_gpu needs submitit: pip install "heatproof[slurm]"') from error
    on_slurm: dict[str, Any] = {
        "slurm_array_parallelism": settings["at_once"],
        "slurm_partition": settings["partition"],
        "slurm_additional_parameters": {"requeue": True, **settings["options"]},
        "slurm_use_srun": True,
    }
    if settings["memory_gb"] is not None:
        on_slurm["mem_gb"] = settings["memory_gb"]
    try:
        executor = submitit.AutoExecutor(
            folder, cluster=settings["cluster"], slurm_max_num_timeout=settings["requeues"]
        )
        executor.update_parameters(
            name="heatproof",
            timeout_min=settings["minutes"],
            gpus_per_node=settings["gpus"],
            cpus_per_task=settings["cpus"],
            tasks_per_node=1,
            nodes=1,
            **{key: value for key, value in on_slurm.items() if value is not None},
        )
        with executor.batch():
            jobs = [executor.submit(Run(part)) for part in parts]
    except (RuntimeError, submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
        why = " ".join(str(error).split())[:300]
        raise UserError(f"hydra/launcher=slurm_gpu: Slurm does not take the jobs: {why}") from error
    print(
        f"Submitted as {jobs[0].job_id.partition('_')[0]}; ending this command does not end its jobs.", file=sys.stderr
    )
    of = dict(zip(jobs, parts, strict=True))
    for job in submitit.helpers.as_completed(jobs):
        try:
            yield of[job], ended(job.result())
        except Exception as error:  # submitit's own, for a job whose node failed or that was cancelled
            yield of[job], End(None, " ".join(str(error).split())[:300])
