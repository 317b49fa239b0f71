"""A Ray cluster: a task for each part, which its scheduler gives a GPU. A part whose node goes away is started on another.

The nodes need this folder, the results and the same Python at the same paths, as on a shared file system.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from bench.errors import UserError
from bench.launching.part import End, Part, Settings
from bench.launching.processes import ended
from bench.launching.queue import pulled
from bench.ranges import Between


class Ray(Settings):
    address: str | None
    gpus: Annotated[float, Between(0, 64)]
    cpus: Annotated[float, Between(0, 1024)]
    retries: Annotated[int, Between(0, 100)]


def run(parts: Sequence[Part], settings: Ray) -> Iterator[tuple[Part, End]]:
    """UserError: there is no such cluster, or Ray is not installed."""
    ray, address = _ray(), settings["address"] or "auto"
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"hydra.launcher.address={address}: no Ray cluster answers there ({str(error).splitlines()[0]}); start one "
                "with ray start --head, or take hydra/launcher=local_gpus on one machine."
            ) from error
    try:
        there = ray.cluster_resources()
        if settings["gpus"] > there.get("GPU", 0):
            print(
                f"warning: each part asks for {settings['gpus']:g} GPU and this Ray cluster has {there.get('GPU', 0):g}: "
                "they wait until more come. hydra.launcher.gpus=0 computes on CPUs.",
                file=sys.stderr,
            )
        yield from pulled(parts, Tasks(ray, settings), settings["retries"])
    finally:
        ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UserError('hydra/launcher=ray_gpu needs Ray: pip install "heatproof[ray]"') from error
    return ray


class Tasks:
    """Ray holds the queue: all parts are handed over at once."""

    def __init__(self, ray: Any, settings: Ray):
        self.ray, self.running = ray, {}  # type: ignore[var-annotated]
        self.task = ray.remote(_remotely()).options(num_gpus=settings["gpus"], num_cpus=settings["cpus"], max_retries=0)

    def free(self) -> bool:
        return True

    def start(self, part: Part) -> None:
        paths = os.environ.get("PYTHONPATH", "")
        work = (list(part.command), part.folder, str(part.log), dict(part.environment), paths)
        self.running[self.task.remote(*work)] = part

    def next_end(self) -> tuple[Part, End]:
        (reference,), _ = self.ray.wait(list(self.running), num_returns=1)
        part = self.running.pop(reference)
        try:
            return part, ended(self.ray.get(reference))
        except self.ray.exceptions.RayTaskError as error:  # there is no such folder on that node, say
            return part, End(1, str(error).splitlines()[-1])
        except self.ray.exceptions.RayError as error:
            return part, End(None, f"its node or its process is gone ({type(error).__name__})")


def _remotely() -> Any:
    """A function that needs nothing of ours: a node's worker may not find this package."""

    def work(command: list[str], folder: str, log: str, environment: dict[str, str], paths: str) -> int:
        import ctypes
        import os
        import signal
        import subprocess

        def told_when_orphaned() -> None:  # by PR_SET_PDEATHSIG; the worker is gone
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)

        os.makedirs(os.path.dirname(log), exist_ok=True)
        own = os.environ | environment | ({"PYTHONPATH": paths} if paths else {})
        with open(log, "ab") as out:
            return subprocess.run(
                command, cwd=folder, stdout=out, stderr=out, env=own, preexec_fn=told_when_orphaned
            ).returncode

    return work
