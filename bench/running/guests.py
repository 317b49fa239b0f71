"""Methods that are not ours, held to what all of them promise: what is given to one stays as it is, it draws from the
streams of its images, and what it returns are maps of them. What it takes another pass to see is asked of a run's first
batch (bench/running/examined.py).
"""

import functools
import inspect
import random  # noqa: TID251 (looked at, not drawn from)
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.exact import keeps_apart
from bench.rng import Rng
from bench.store import code
from bench.text import a_kind, one_line
from bench.types import Images, Targets

AUTOCAST = ("cpu", "cuda")  # devices on which torch computes in half precision if it is told to
FROM_STREAMS = "take a fourth argument rng, and draw rng.normal(3, 8) for [B, 3, 8], or rng.uniform"
DRAWING = ("beartype",)  # checks of types that draw from Python's generator which of many items they look at


def ours(target: str) -> bool:
    """Whether a builder is what shipped, unedited: tests hold all of that to the same promises."""
    return not isinstance(code.version(target), str)


@dataclass(frozen=True)
class Guest:
    """Somebody's method, of (model, x, target) or (model, x, target, rng); called as ours are."""

    method: Callable  # settings bound
    name: str

    def __post_init__(self):
        self._draws  # noqa: B018 (raises what is wrong with it)

    @functools.cached_property
    def _draws(self) -> bool:
        return _takes_streams(self.func, self.keywords, self.name)

    def __call__(self, model: nn.Module, x: Images, target: Targets, rng: Rng) -> Images:
        with held(self.name, self.func, FROM_STREAMS):
            maps = self.method(model, x.clone(), target.clone(), *([rng] if self._draws else []))
            return _shaped(maps, x, self.name)

    @property
    def func(self) -> Callable:
        return getattr(self.method, "func", self.method)

    @property
    def keywords(self) -> dict[str, Any]:
        return getattr(self.method, "keywords", {})


def _takes_streams(method: Callable, settings: Collection[str], name: str) -> bool:
    """Whether it takes the images' streams.  settings: parameters that are bound.  UserError: it takes too little."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):  # written in C
        return True
    takes = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name not in settings]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    if len(takes) < 3:
        raise UserError(f"{name} takes {len(takes)} arguments: expected (model, x, target) or (model, x, target, rng).")
    return len(takes) > 3 and (takes[3].name == "rng" or takes[3].default is inspect.Parameter.empty)


@contextmanager
def failing(said: str, code: Callable) -> Iterator[None]:
    """UserError: somebody's code, run within, raises something.  said: what comes before the place in the code."""
    try:
        yield
    except (UserError, torch.OutOfMemoryError):  # of the latter, batches are made smaller
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{said}{_where(error, code)}: {type(error).__name__}: {_words(error)}") from error


@contextmanager
def held(name: str, code: Callable, instead: str) -> Iterator[None]:
    """UserError: somebody's code, run within, raises something, or draws from a global generator.

    name: what it is called.  instead: what draws rather.
    """
    before, modes = _streams(), _modes()
    with failing(f"{name} fails", code):
        yield
    if changed := [what for what, value in _modes().items() if value != modes[what]]:
        torch.set_grad_enabled(bool(modes["grad mode"]))
        torch.set_default_dtype(modes["default dtype"])  # type: ignore[arg-type]
        for device in AUTOCAST:
            torch.set_autocast_enabled(device, bool(modes[f"autocast on {device}"]))
        raise UserError(
            f"{name} leaves torch's {changed[0]} changed: let it put it back, as `with torch.no_grad():` does."
        )
    if not all(map(np.array_equal, before, _streams())):
        raise UserError(
            f"{name} draws from a global random generator, so that an image's numbers would depend on its batch: let it "
            f"{instead}."
        )


def _where(error: BaseException, code: Callable) -> str:
    """' in mine.py, line 12': the innermost line of the file that holds the code; nothing if none of it is in a file."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(code))
    except TypeError:  # a builtin, or an instance
        file = inspect.getsourcefile(type(code)) if type(code).__module__ != "builtins" else None
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" in {file}, line {lines[-1]}" if lines else ""


def _words(error: BaseException) -> str:
    return one_line(error, 300) or "no more is said"


def called(value: Any) -> str:
    return f"a tensor {list(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else a_kind(value)


def _modes() -> dict[str, object]:
    """What torch computes by, wherever it is asked for next."""
    return {
        "grad mode": torch.is_grad_enabled(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "number of threads": torch.get_num_threads(),
    } | {f"autocast on {device}": torch.is_autocast_enabled(device) for device in AUTOCAST}


def _streams() -> list[np.ndarray]:
    """The states of the global random generators."""
    _, state, place, *_ = np.random.get_state()  # noqa: TID251 (looked at, not drawn from)
    cuda = [torch.cuda.get_rng_state().numpy()] if torch.cuda.is_initialized() else []
    return [
        torch.get_rng_state().numpy(),
        np.asarray(state),
        np.asarray(place),
        *([] if any(name in sys.modules for name in DRAWING) else [np.asarray(random.getstate()[1])]),
        *cuda,
    ]


def _shaped(maps: Any, x: Images, name: str) -> Images:
    """UserError: they are no maps of these images."""
    if isinstance(maps, np.ndarray) and maps.dtype.kind in "fiub" and not isinstance(maps, np.ma.MaskedArray):
        maps = torch.from_numpy(np.array(maps, maps.dtype.newbyteorder("=")))
    if not isinstance(maps, Tensor) or maps.is_complex() or maps.layout is not torch.strided:
        raise UserError(f"{name} returned {called(maps)}: expected maps, a real tensor {list(x.shape)}.")
    given, maps = maps.detach(), maps.detach().to(x.device, x.dtype)
    if not all(keeps_apart(one, x.dtype) for one in given):
        raise UserError(
            f"{name} returned {called(given)} most of whose values are one in {x.dtype}: take off what they share."
        )
    if maps.shape == (len(x), *x.shape[2:]):
        maps = maps[:, None]
    if maps.shape not in (x.shape, (len(x), 1, *x.shape[2:])):
        raise UserError(f"{name} returned maps {list(maps.shape)}: expected {list(x.shape)}, or [B, H, W].")
    return maps.expand_as(x).contiguous()
