"""Weights: from a file into a network, and in words where they do not fit."""

import pickle
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.errors import UserError
from bench.rng import global_streams
from bench.text import plural

DOWNLOAD_ERRORS = (OSError, RuntimeError, ValueError)  # no route, no such file, a checksum that does not hold
WRAPPERS = ("state_dict", "model_state_dict", "model")  # what training scripts put a state dict into

State = Mapping[str, Tensor]


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    """Random weights, the same ones every time, whichever generator draws them; the global streams stay as they are."""
    with global_streams(0), warnings.catch_warnings():  # initial weights are no draw of a run
        warnings.filterwarnings("ignore", message="The default weight initialization")  # of weights soon replaced
        return build()


def load(net: nn.Module, weights: str, name: str) -> Path | None:
    """Fill the network from a local file and return that file; `random` leaves it as it was built."""
    if weights == "random":
        return None
    file = Path(weights).expanduser()
    fill(net, read_weights(file), file, name)
    return file


def read_weights(file: Path) -> State:
    """A state dict from a .safetensors file or from torch's format, never running code from the file."""
    if not file.is_file():
        raise UserError(
            f"{file} is a folder; name a file in it." if file.is_dir() else f"There is no weight file {file}."
        )
    if said := _no_weights(file):
        raise UserError(f"{file} is {said}")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # by where it is broken, or of what else it is
        objects = isinstance(error, pickle.UnpicklingError)
        words = "torch cannot read it" if isinstance(error, LookupError) else first_line(error)
        why = "it holds Python objects, which are not run" if objects else words
        raise UserError(
            f"{file} is not a file of plain tensors ({why}); save the network's state_dict, best as .safetensors."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and (isinstance(value, Tensor) or name.endswith("_extra_state"))
        for name, value in state.items()
    ):
        raise UserError(f"{file} holds no state dict (names and tensors); save the network's state_dict.")
    return state


def fill(net: nn.Module, state: State, file: Path | str, name: str) -> None:
    """Put a state dict into a network, without the prefix that a wrapper left on all names; say what does not fit."""
    wanted = net.state_dict()
    state = stripped(state, wanted)
    for key, value in state.items():
        if isinstance(value, Tensor) and key in wanted and _whole(value) and not _whole(wanted[key]):
            raise UserError(
                f"{file} holds {key} as {str(value.dtype).removeprefix('torch.')}; quantised weights are not measured: save "
                "them in float32."
            )
    try:
        net.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError, AttributeError) as error:
        told = _difference(state, net.state_dict()) or first_line(error, 3)
        raise UserError(
            f"{file} does not fit {name}, it holds another architecture or number of classes: {told}."
        ) from error


def stripped(state: State, wanted: State) -> State:
    """The state dict without what stands before all of its names, if so they are those wanted; else as it is."""
    if state.keys() == wanted.keys():
        return state
    bare = {name.replace("_orig_mod.", ""): value for name, value in state.items()}  # also of parts that were compiled
    prefix = _prefix(bare, wanted)
    bare = {name[len(prefix) :]: value for name, value in bare.items() if name.startswith(prefix)}
    return bare if len(bare) == len(state) and bare.keys() == wanted.keys() else state


def first_line(error: Exception, lines: int = 1) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:lines])[:300] or type(error).__name__


def _whole(value: Tensor) -> bool:
    """Whether its values are no numbers with a point."""
    return not (value.is_floating_point() or value.is_complex())


def _prefix(state: State, wanted: State) -> str:
    """What stands before most of the names that are wanted, such as `module.`, `model.` or `backbone.net.`; else nothing."""
    ends = Counter(name.removesuffix(end) for name in state for end in _ends(name) if end in wanted)
    return ends.most_common(1)[0][0] if ends else ""


def _ends(name: str) -> list[str]:
    """'b.c' and 'c' of a.b.c, and the name itself."""
    parts = name.split(".")
    return [".".join(parts[k:]) for k in range(len(parts))]


def _no_weights(file: Path) -> str | None:
    """What lies under a weight file's name instead, with the cure."""
    with file.open("rb") as stream:
        start = stream.read(200).lstrip().lower()
    if not start:
        return "empty; fetch it again."
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the weights that it points to; fetch these with git lfs pull."
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not weights; download the file itself (its raw or resolve address)."
    return None


def _difference(state: State, wanted: State) -> str:
    """'it lacks a, b and 3 more; it also has c; head.weight is [5, 8], not [10, 8]'. Empty: names and shapes fit."""
    lacks, more = [k for k in wanted if k not in state], [k for k in state if k not in wanted]
    shapes = {
        name: (list(state[name].shape), list(value.shape))
        for name, value in wanted.items()
        if isinstance(value, Tensor) and isinstance(state.get(name), Tensor) and state[name].shape != value.shape
    }
    parts = [f"it lacks {_first(lacks)}"] if lacks else []
    parts += [f"it also has {_first(more)}"] if more else []
    parts += [f"{name} is {there}, not {here}" for name, (there, here) in list(shapes.items())[:3]]
    if lacks and (prefix := _prefix(state, wanted)):
        inner = {name.removeprefix(prefix) for name in state if name.startswith(prefix)}
        whole = not wanted.keys() - inner
        parts.append(
            f"under the prefix {prefix} it has all that is wanted: save only that part"
            if whole
            else f"its names begin with {prefix}"
        )
    return "; ".join(parts)


def _first(names: list[str], n: int = 3) -> str:
    rest = f" and {plural(len(names) - n, 'other')}" if len(names) > n else ""
    return ", ".join(map(str, names[:n])) + rest
