"""Maps made elsewhere, to be scored as if they had been made here: `<root>/<image id>.npy`, as `run.save_attributions`
writes them.

A map is an array of numbers, [3, H, W], or [H, W] or [1, H, W], which then holds for all three channels, at the size of
the network's input. Larger is more important. Nothing is rescaled. An image whose map is missing, unreadable or of
another shape becomes a failed row that says so; the others are scored. The maps must explain the class that is scored
(`run.target`); nobody can check that here.
Agrees with: the scores of the run that saved the maps, bit for bit. Cost: no passes.
"""

import hashlib
import math
from pathlib import Path
from tokenize import TokenError

import numpy as np  # reads .npy files; the one method that has files
import torch
from torch import Tensor, nn

from bench import filename
from bench.errors import UserError
from bench.exact import keeps_apart
from bench.notes import note
from bench.rng import Rng
from bench.types import Images, Targets

UNREADABLE = (OSError, ValueError, EOFError, MemoryError, TypeError, SyntaxError, TokenError)  # by where it is broken


def precomputed_map(model: nn.Module, x: Images, target: Targets, rng: Rng, *, root: str) -> Images:
    """The maps as they lie in `root`, in x's dtype; NaN and a noted error where there is none. Ids come from `rng`."""
    maps, errors = [], []
    for image in rng.ids:
        file = Path(root).expanduser() / filename.of_image(image, ".npy")
        found, error = read(file, tuple(x.shape[1:]))  # type: ignore[arg-type]
        maps.append(found.to(x.dtype))
        errors.append(error or _beyond(file, found, maps[-1]))
    note(error=errors)
    return torch.stack(maps).to(x.device)


def _beyond(file: Path, map: Tensor, taken: Tensor) -> str | None:
    """What is wrong of a map whose numbers another precision cannot hold.  taken: the map in that one."""
    narrow = str(taken.dtype).removeprefix("torch.")
    if not taken.isfinite().all() or bool(map.any()) and not bool(taken.any()):
        of = f"from {map.min():.3g} to {map.max():.3g}"
        return f"the map {file} holds numbers {of}, which {narrow} cannot hold: scale it"
    if not keeps_apart(map, taken.dtype):
        return f"most values of the map {file} are one in {narrow}: take off what they share"
    return None


def fingerprint(image: str, *, root: str) -> str:
    """sha256 of the image's map file: a row counts as done only as long as it was made from this very map."""
    file = Path(root).expanduser() / filename.of_image(image, ".npy")
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def check(*, root: str) -> None:
    """UserError: there is no such folder, so that no image has a map."""
    if not Path(root).expanduser().is_dir():
        raise UserError(f"method.root={root}: there is no such folder; expected one with a map for each image, ID.npy.")


precomputed_map.fingerprint = fingerprint  # type: ignore[attr-defined]
precomputed_map.check = check  # type: ignore[attr-defined]


def read(file: Path, shape: tuple[int, int, int]) -> tuple[Tensor, str | None]:
    """The map in `file`, float64 [3, H, W], and None; or NaN and the reason."""
    nothing = torch.full(shape, math.nan, dtype=torch.float64)
    expected = f"expected numbers of shape {list(shape)}, {list(shape[1:])} or {[1, *shape[1:]]}"
    if not file.is_file():
        return nothing, f"there is no map {file}: save one there (numpy.save, {expected}), or leave its image out"
    try:
        with file.open("rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
    except UNREADABLE as error:
        return (
            nothing,
            f"the map {file} cannot be read ({str(error)[:100]}): write it again with numpy.save, {expected}",
        )
    if array.dtype.kind not in "fiu" or array.shape not in (shape, shape[1:], (1, *shape[1:])):
        return nothing, f"the map {file} holds {array.dtype} of shape {list(array.shape)}: {expected}"
    if not np.isfinite(array).all():
        return nothing, f"the map {file} holds NaN or infinity: every value must be a number"
    return torch.from_numpy(array.astype(np.float64)).expand(shape), None
