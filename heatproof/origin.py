"""What the numbers of an object come from, as a digest: a function's source and all that it reads, a network's layers.

A command line's parts are known by the code that `_target_` names; a function of a notebook has none.
"""

import ast
import contextlib
import dis
import functools
import hashlib
import inspect
import re
import sys
import textwrap
import types
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.networks.layers import HOOKS
from bench.store import code
from bench.text import a_kind

PLAIN = (int, float, complex, str, bytes, bool, types.NoneType, torch.dtype, torch.device, np.dtype)
OF_ANY = {*vars(nn.Module())}
Seen = dict[int, tuple[Any, str]]  # {id: the object, its digest}; the object, so that nothing else gets its id


def digest(given: Any, name: str = "", seen: Seen | None = None) -> str:
    """Of a function, or of what one reads: numbers, tensors, networks, other functions.

    name: what an error calls it. UserError: an object of which nobody can say what it does.
    """
    seen = {} if seen is None else seen
    if id(given) not in seen:
        seen[id(given)] = (given, f"number {len(seen)}")  # of what refers to itself
        seen[id(given)] = (given, hashlib.sha256(_told(given, name, seen).encode()).hexdigest()[:16])
    return seen[id(given)][1]


def structure(net: nn.Module, aside: Collection[str] = ()) -> str:
    """A network without what it learnt: its layers and their settings, the code of those that no library has, and what else
    may change its answers (`kept`).

    aside: of the latter, what a pass of the network changes, such as results that it keeps.
    """
    kinds = {type(module) for module in net.modules()}
    own = sorted(f"{kind.__qualname__} {_code(kind)}" for kind in kinds if not code.installed(kind.__module__))
    more = [f"{name} = {value}" for name, value in kept(net).items() if name not in aside]
    return "\n".join([re.sub(r" at 0x[0-9a-f]+", "", repr(net)), *own, *more])


def kept(net: nn.Module) -> dict[str, str]:
    """{where: a digest} of what neither a network's state dict nor its layers' names tell: attributes of layers that no
    library has, buffers that are not saved, hooks, functions put in place of a layer's own.
    """
    found: dict[str, str] = {}
    for path, module in net.named_modules():
        theirs = code.installed(type(module).__module__)
        unsaved = {name: module.get_buffer(name) for name in module._non_persistent_buffers_set}
        hooks = {name: list(vars(module)[name].values()) for name in HOOKS if vars(module).get(name)}
        attributes = {name: value for name, value in vars(module).items() if name not in OF_ANY and name not in hooks}
        put = {name: value for name, value in attributes.items() if not theirs or isinstance(value, types.FunctionType)}
        for name, value in (unsaved | hooks | put).items():
            found[f"{path}.{name}"] = _digest_of_some(value)
    return found


def _digest_of_some(value: Any) -> str:
    """As far as there is one: of anything else, what kind of thing it is."""
    try:
        return digest(value)
    except (UserError, RecursionError):
        if isinstance(value, list | tuple):
            return f"{[_digest_of_some(part) for part in value]}"
        return type(value).__qualname__


def importable(given: Any) -> str | None:
    """The import path of a function or a class that the module of a file holds under its name; None: none does."""
    module, name = getattr(given, "__module__", None) or "", getattr(given, "__qualname__", "")
    there = sys.modules.get(module)
    if module == "__main__" or not getattr(there, "__file__", None) or getattr(there, name, None) is not given:
        return None
    return f"{module}.{name}"


def as_on_disk(given: types.FunctionType) -> None:
    """UserError: the file of this function's module says something else than was imported from it, of the function or of
    those of the module that it calls, or of a number or a word that these read.
    """
    module = sys.modules[given.__module__]
    file = Path(module.__file__ or "")
    tree = ast.parse(file.read_bytes())
    constants = _literals(tree)
    compiled = compile(tree, str(file), "exec")
    there = {part.co_name: part for part in compiled.co_consts if isinstance(part, types.CodeType)}
    left, seen = [given], set()
    while left:
        one = left.pop()
        seen.add(one)
        own = inspect.unwrap(one).__code__  # not a decorator's
        if one.__name__ not in there or _compiled(own) != _compiled(there[one.__name__]):
            raise UserError(
                f"{file} has changed since {one.__name__} was imported from it: restart, or importlib.reload it."
            )
        for name in _globals(own):
            if name in constants and repr(vars(module).get(name)) != repr(constants[name]):
                raise UserError(
                    f"{name} is {vars(module).get(name)!r} now, and {constants[name]!r} in {file}, from where "
                    f"{one.__name__} is told: give it as an argument (functools.partial), or change the file."
                )
        calls = (vars(module).get(name) for name in _globals(own))
        left += [f for f in calls if importable(f) and isinstance(f, types.FunctionType) and f not in seen]
        left = [f for f in left if f.__module__ == given.__module__]


def _literals(tree: ast.Module) -> dict[str, Any]:
    """{name: value} of what a module's outermost lines set to something written out, and nothing else sets."""
    stored = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    found = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) if stored[name] == 1:
                with contextlib.suppress(ValueError, TypeError):
                    found[name] = ast.literal_eval(node.value)
    return found


def _told(given: Any, name: str, seen: Seen) -> str:
    match given:
        case _ if isinstance(given, PLAIN):
            return repr(given)
        case np.generic():
            return repr(given.item())
        case list() | tuple():
            return f"{type(given).__name__} {[digest(item, name, seen) for item in given]}"
        case set() | frozenset():
            return f"set {sorted(digest(item, name, seen) for item in given)}"
        case Mapping():
            return f"mapping {[(digest(key, name, seen), digest(value, name, seen)) for key, value in given.items()]}"
        case Tensor():
            return f"{given.dtype} {_told(given.detach().cpu().numpy(), name, seen)}"
        case np.ndarray():
            return f"{given.dtype} {given.shape} {hashlib.sha256(np.ascontiguousarray(given).tobytes()).hexdigest()}"
        case types.ModuleType():
            return code.digest(given.__name__)
        case functools.partial():
            return f"partial {[digest(part, name, seen) for part in (given.func, given.args, given.keywords)]}"
        case nn.Module():
            state = {key: value for key, value in given.state_dict().items() if isinstance(value, Tensor)}
            return f"{structure(given)} {digest(state, name, seen)}"
    if where := importable(given):
        return f"{where.rpartition('.')[2]} {code.digest(where)}"
    if callable(given) and hasattr(given, "__qualname__") and code.installed(given.__module__ or "builtins"):
        return f"{given.__module__}.{given.__qualname__}"
    if isinstance(given, types.FunctionType | type):
        return f"{_source(given)} {[(key, digest(value, key, seen)) for key, value in sorted(_reads(given).items())]}"
    raise UserError(
        f"{name or repr(given)} is {a_kind(given)}, of which no digest can be made, and rows that are kept must "
        "say what they come from: let the function read numbers, tensors or networks, or leave the folder out."
    )


def _code(kind: type) -> str:
    where = importable(kind)
    return code.digest(where) if where else _source(kind)


def _source(given: Any) -> str:
    """A digest of its source; of a function whose source no file and no cell holds, of its compiled code."""
    try:
        return code.of_source(textwrap.dedent(inspect.getsource(given)))
    except (OSError, TypeError, SyntaxError):
        if isinstance(given, types.FunctionType):
            return hashlib.sha256(repr(_compiled(given.__code__)).encode()).hexdigest()[:16]
        raise UserError(f"The source of {given.__qualname__} is nowhere to be found: put it into a file.") from None


def _compiled(of: types.CodeType) -> tuple:
    """Compiled code, without where it stood."""
    constants = [_compiled(part) if isinstance(part, types.CodeType) else repr(part) for part in of.co_consts]
    return of.co_code, of.co_names, of.co_varnames, tuple(constants)


def _reads(given: types.FunctionType | type) -> dict[str, Any]:
    """What a function reads from around it: globals, closures, defaults; of a class, what its methods read."""
    if isinstance(given, type):
        methods = [value for value in vars(given).values() if isinstance(value, types.FunctionType)]
        return {key: value for method in methods for key, value in _reads(method).items() if value is not given}
    found = {name: given.__globals__[name] for name in _globals(given.__code__) if name in given.__globals__}
    for name, cell in zip(given.__code__.co_freevars, given.__closure__ or (), strict=True):
        found[name] = cell.cell_contents
    defaults = {"its defaults": given.__defaults__, "its keyword defaults": given.__kwdefaults__}
    return found | {key: value for key, value in defaults.items() if value}


def _globals(of: types.CodeType) -> Iterator[str]:
    yield from (step.argval for step in dis.get_instructions(of) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for part in of.co_consts:
        if isinstance(part, types.CodeType):
            yield from _globals(part)
