"""A function of the user's own as a method.

One that lies in a file, `mine` of mine.py, is what `_target_: mine.mine` names on a command line, and known by the same
digest. One of a notebook is known by its source and by what it reads (heatproof/origin.py).
"""

import functools
import keyword
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from bench.choices import CONF
from bench.errors import UserError
from bench.running.guests import Guest
from bench.store import code
from bench.text import a_kind
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
        Guest(functools.partial(plain, **settings), name),
        {"_target_": where or f"{NOWHERE}.{name}", "_partial_": True, **written},
        found,
    )


def _unwrapped(given: Any) -> tuple[Callable, dict[str, Any]]:
    if not callable(given):
        raise UserError(f"A method is a name or a function; this is {a_kind(given)}.")
    if not isinstance(given, functools.partial):
        return given, {}
    if given.args:
        raise UserError("A partial function as a method: bind its settings by name.")
    if reserved := {"post", "stream", "_target_", "_partial_"} & given.keywords.keys():
        raise UserError(
            f"A partial function as a method: {sorted(reserved)[0]} is a key of every method; name it otherwise."
        )
    settings = {key: value.item() if isinstance(value, np.generic) else value for key, value in given.keywords.items()}
    return given.func, settings
