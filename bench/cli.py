"""How a command starts and ends: `--help`, what the user has to put right as one line on stderr, the exit status."""

import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from bench.config import Config, configured
from bench.errors import UserError


def command(doc: str | None, main: Callable[[list[str]], int | None]) -> NoReturn:
    """Exit as `main` says, called with the command line. `--help` prints `doc`; a UserError is a line on stderr and a 1."""
    arguments = sys.argv[1:]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that has no `±` is no reason to stop
    try:
        code: int | None = 0
        if {"--help", "-h"} & {*arguments}:
            print((doc or "").strip())
        else:
            code = main(arguments)
        sys.stdout.flush()
        sys.exit(code)
    except UserError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # who reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def cell(cfg: DictConfig, main: Callable[[Config], None]) -> None:
    """What a program of Hydra's does with a configuration that Hydra has composed. A UserError ends it with a line and a 1;
    in a sweep Hydra runs the other cells first.
    """
    hydra = HydraConfig.get()
    try:
        main(configured(cfg, OmegaConf.create(hydra.runtime.choices), hydra.overrides.task))
    except UserError as error:
        if hydra.mode == RunMode.MULTIRUN:
            raise CompactHydraException(f"error: {error}") from error
        sys.exit(f"error: {error}")
