"""The launcher of conf/hydra/launcher/: where Hydra looks for one. What it does lies in bench/launching."""

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

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from bench.launching.launch import launch  # now, as Hydra imports this file whatever it is asked to do

        launch(self.engine, self.settings, self.config, [list(overrides) for overrides in job_overrides])
        return []
