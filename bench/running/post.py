"""What is done to a method's maps before they are kept and scored: `method.post=[abs,pool,blur8]`, one after the other.

    abs         magnitudes
    positive    what speaks against the class becomes 0
    sign        -1, 0 or 1: nothing is left of magnitudes
    pool        the mean of the three channels, in each of them
    blurS       Gaussian blur with a standard deviation of S pixels, cut off at four of them, mirrored at the border

How far a score is the method's, and how far it is owed to signs, channels and smoothness, is told by scoring its maps both
ways. Draws are those of the method itself, so that a post-processed map is what becomes of the very map without. That one is
taken from the store where it lies (bench/running/kept.py); else it is made again.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from bench.build import build
from bench.exact import double, exact_device
from bench.notes import listening, note
from bench.rng import Rng
from bench.running.guests import Guest, ours
from bench.settings import BLUR
from bench.store import code
from bench.types import Images, Targets

REACH = 4  # standard deviations


@dataclass(frozen=True)
class Processed:
    """A method and what is done to its maps; called as the method is."""

    method: Callable
    post: tuple[str, ...]

    def __call__(self, model: nn.Module, x: Images, target: Targets, rng: Rng) -> Images:
        with listening() as notes:
            maps = self.method(model, x, target, rng)
        notes.pop("completeness_gap", None)  # of the map as it was
        note(**notes)
        return processed(maps.detach(), self.post)

    @property
    def func(self) -> Callable | None:
        return getattr(self.method, "func", None)

    @property
    def keywords(self) -> dict[str, Any]:
        return getattr(self.method, "keywords", {})


def build_method(cfg: DictConfig) -> Callable:
    """The method that a configuration's `method` describes, and what is done to its maps."""
    post = tuple(cfg.get("post") or ())
    method = build(plain(cfg), "method")
    if not ours(cfg._target_):
        method = Guest(method, code.name(cfg._target_))
    return Processed(method, post) if post else method


def plain(cfg: DictConfig) -> DictConfig:
    """A configuration's `method` as its builder takes it: without what is done to its maps, and whose draws it has."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in ("post", "stream")])


def processed(maps: Images, post: Sequence[str]) -> Images:
    """Image by image, in the dtype of the maps."""
    for word in post:
        maps = _done(word, maps)
    return maps


def _done(word: str, maps: Images) -> Images:
    match word:
        case "abs":
            return maps.abs()
        case "positive":
            return maps.clamp(min=0)
        case "sign":
            return maps.sign()
        case "pool":
            return maps.mean(dim=1, keepdim=True).expand_as(maps).contiguous()
        case _:
            return blurred(maps, float(word.removeprefix(BLUR)))


def blurred(maps: Images, sigma: float) -> Images:
    """In float64 inside. Agrees with SciPy's gaussian_filter."""
    rows, columns = (_kernel(side, sigma).to(exact_device(maps.device)) for side in maps.shape[2:])
    return (rows @ double(maps) @ columns.T).to(maps.dtype).to(maps.device)


@functools.cache
def _kernel(side: int, sigma: float) -> Tensor:
    """float64 [side, side]: what each pixel of a row takes of each other. What lies outside is a mirror of the row."""
    reach = int(REACH * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1)
    weights = (-0.5 * (offsets.double() / sigma) ** 2).exp()
    place = (torch.arange(side)[:, None] + offsets) % (2 * side)
    place = torch.where(place < side, place, 2 * side - 1 - place)
    kernel = torch.zeros(side, side, dtype=torch.float64)
    return kernel.scatter_add_(1, place, (weights / weights.sum()).expand_as(place))
