"""What other libraries need that our own methods do not: to be there, and to draw from a stream of the image's own."""

import importlib
import random  # noqa: TID251  its state is set and put back
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np  # its global state, which libraries draw from
import torch

from bench.errors import UserError, did_you_mean
from bench.rng import Rng


def required(module: str, install: str) -> ModuleType:
    """The module, or UserError with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{module} could not be imported ({error}): pip install {install}.") from error


def member(module: ModuleType, name: str) -> type:
    """The class that method.name, or the name of an option, says; UserError with those that come close."""
    found = getattr(module, name, None)
    if not isinstance(found, type):
        known = [n for n in dir(module) if isinstance(getattr(module, n), type)]
        raise UserError(f"method.name={name}: {module.__name__} has no class of that name.{did_you_mean(name, known)}")
    return found


@contextmanager
def own_stream(rng: Rng, device: torch.device) -> Iterator[None]:
    """Inside, the global generators of torch, NumPy and Python run from the stream of the one image of `rng`."""
    seed = int(rng.integers(2**32))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: TID251
        try:
            torch.manual_seed(seed)  # noqa: TID251
            np.random.seed(seed)  # noqa: TID251
            random.seed(seed)  # noqa: TID251
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: TID251
            random.setstate(python_state)  # noqa: TID251
