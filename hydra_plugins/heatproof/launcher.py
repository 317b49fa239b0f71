"""The launcher of conf/hydra/launcher/: where Hydra looks for one. What it does lies in bench/launching."""

import os
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class Parts(Launcher):
    """Runs a sweep in processes of its own, on one machine or many.  engine: which of bench.launching.engines."""

    def __init__(self, engine: str, **settings: Any):
        self.engine, self.settings = engine, OmegaConf.to_container(OmegaConf.create(settings))

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.program = started_as(task_function)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from bench.launching.launch import launch  # now, as Hydra imports this file whatever it is asked to do

        jobs = [list(overrides) for overrides in job_overrides]
        launch(self.engine, self.settings, self.config, self.program, jobs)
        return []


def started_as(task_function: TaskFunction) -> list[str]:
    """What runs this function's program: `python -m bench.run`, also where a command called it."""
    own = task_function.__globals__
    spec = own.get("__spec__")
    return [sys.executable, "-m", spec.name] if spec else [sys.executable, os.path.abspath(own["__file__"])]
