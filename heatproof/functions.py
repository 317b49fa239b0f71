"""A function of the user's own as a method.

One that lies in a file, `mine` of mine.py, is what `_target_: mine.mine` names on a command line, and known by the same
digest. One of a notebook is known by its source and by what it reads (heatproof/origin.py).
"""

import functools
import inspect
import keyword
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.config import CONF
from bench.errors import UserError
from bench.rng import Rng
from bench.store import code
from bench.types import Images, Targets
from heatproof.origin import as_on_disk, digest, importable

YAML = (int, float, str, bool, type(None))  # what a setting may be in a record
NOWHERE = "in_python"  # stands for the module of a function that no file holds


@dataclass(frozen=True)
class Function:
    """A user's function, as the harness takes a method."""

    name: str
    method: Callable  # (model, x, target, rng) -> maps; with its settings bound, as a yaml's are
    settings: dict[str, Any]  # as that yaml would have them
    found: dict[str, str]  # what its numbers come from, where `_target_` does not tell


def function(given: Callable, *, kept: bool) -> Function:
    """Of (model, x, target) or (model, x, target, rng), settings bound by functools.partial.

    kept: its rows outlive this session. UserError: no such function; or kept, and nobody can say what they come from.
    """
    plain, settings = _unwrapped(given)
    name = getattr(plain, "__name__", type(plain).__name__).strip("<>")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(f"{name}: a function needs a name to be filed under; define it with def.")
    if (CONF / "method" / f"{name}.yaml").exists():
        raise UserError(f"{name} is a method that Heatproof has: give your function another name.")
    where = importable(plain)
    if where and isinstance(plain, FunctionType) and not code.installed(where):
        as_on_disk(plain)
        code.version.cache_clear()  # the file may have changed, and been loaded again, since it was last asked for
    found = {} if where or not kept else {"method.code": digest(plain)}
    objects = {key: value for key, value in settings.items() if not isinstance(value, YAML)}
    found |= {f"method.{key}": digest(value, key) for key, value in objects.items() if kept}
    written = {key: value for key, value in settings.items() if key not in objects}
    return Function(
        name,
        functools.partial(adapted(plain, name), **settings),
        {"_target_": where or f"{NOWHERE}.{name}", "_partial_": True, **written},
        found,
    )


def adapted(plain: Callable, name: str) -> Callable:
    """As the harness calls a method: it gets copies, and maps [B, H, W] or [B, 1, H, W] hold for all three colours."""
    takes = [
        p
        for p in inspect.signature(plain).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(takes) < 3:
        raise UserError(f"{name} takes {len(takes)} arguments: expected (model, x, target) or (model, x, target, rng).")
    draws = len(takes) > 3 and (takes[3].name == "rng" or takes[3].default is inspect.Parameter.empty)

    def method(model: nn.Module, x: Images, target: Targets, rng: Rng, **settings: Any) -> Images:
        before = _streams()
        maps = plain(model, x.clone(), target.clone(), *([rng] if draws else []), **settings)
        if not all(map(np.array_equal, before, _streams())):
            raise UserError(
                f"{name} draws from a global random generator, so that an image's map would depend on its batch: let it "
                "take a fourth argument rng, and draw rng.normal(3, 8) for [B, 3, 8], or rng.uniform."
            )
        return _shaped(maps, x, name)

    return method


def _unwrapped(given: Any) -> tuple[Callable, dict[str, Any]]:
    if not callable(given):
        raise UserError(f"A method is a name or a function; this is a {type(given).__name__}.")
    if not isinstance(given, functools.partial):
        return given, {}
    if given.args:
        raise UserError("A partial function as a method: bind its settings by name.")
    return given.func, dict(given.keywords)


def _streams() -> list[np.ndarray]:
    """The states of the global random generators."""
    _, state, place, *_ = np.random.get_state()  # noqa: TID251 (looked at, not drawn from)
    cuda = [torch.cuda.get_rng_state().numpy()] if torch.cuda.is_initialized() else []
    return [torch.get_rng_state().numpy(), np.asarray(state), np.asarray(place), *cuda]


def _shaped(maps: Any, x: Images, name: str) -> Images:
    """UserError: they are no maps of these images."""
    if isinstance(maps, np.ndarray):
        maps = torch.from_numpy(maps)
    if not isinstance(maps, Tensor):
        raise UserError(f"{name} returned a {type(maps).__name__}: expected maps, a tensor {list(x.shape)}.")
    maps = maps.detach().to(x.device, x.dtype)
    if maps.shape == (len(x), *x.shape[2:]):
        maps = maps[:, None]
    if maps.shape not in (x.shape, (len(x), 1, *x.shape[2:])):
        raise UserError(f"{name} returned maps {list(maps.shape)}: expected {list(x.shape)}, or [B, H, W].")
    return maps.expand_as(x).contiguous()
