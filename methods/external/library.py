"""What other libraries need that our own methods do not: to be there, and to draw from a stream of the image's own."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch

from bench.errors import UserError, did_you_mean
from bench.rng import Rng, global_streams


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
    with global_streams(int(rng.integers(2**32)), [device]):
        yield
