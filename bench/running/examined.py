"""What a method or metric of somebody else's does to a run's first batch, and what its numbers are: what is wrong of them is
said in one sentence, before a row of them is written.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.errors import UserError
from bench.networks.layers import HOOKS
from bench.notes import listening
from bench.rng import global_streams
from bench.running.guests import FROM_STREAMS, Guest, called
from bench.running.job import Job
from bench.running.post import Processed
from bench.store.parts import CURVES
from bench.types import Images, Targets
from metrics.batch import MapBatch
from metrics.quantities import NUMBERS

ROUNDING = {"cpu": 1e-3}  # of a map's length, that other images in the batch may change by rounding
OTHER = 20_261  # a seed that nobody's generator has by chance
BEYOND = 1e30  # stands for what is no number
AMPLIFIED = 0.05  # on a GPU, which adds up in any order: a step along a sign makes much of little


def guest(job: Job) -> Guest | None:
    """The job's method, if it is one."""
    method = job.method.method if isinstance(job.method, Processed) else job.method
    return method if isinstance(method, Guest) else None


def network_state(job: Job) -> tuple:
    """What a method leaves alone: what the network has learnt, its normalisation, its modules, their modes, and
    how many hooks look on.
    """
    network = job.network
    modules = [
        (
            name,
            id(module),
            module.training,
            id(vars(module).get("forward")),
            *(len(getattr(module, of)) for of in HOOKS),
        )
        for name, module in network.named_modules()
    ]
    normalised = [network.get_buffer(name).tolist() for name in ("mean", "std")]
    return network.digest(), normalised, modules


def examine(job: Job, x: Images, target: Targets, ids: list[str], maps: Images, before: tuple) -> None:
    """UserError: the method, a guest, changed the network, or gave an image another map than by itself.

    x, target, ids, maps: of a batch; maps with 0 for what is no number.  before: the network's state before they were made.
    """
    name, network = guest(job).name, job.network  # type: ignore[union-attr]
    if network_state(job) != before:
        raise UserError(f"{name} changes the network: let it leave weights, layers, modes and hooks as it found them.")

    def by_itself(n: int) -> Images:
        """The first image's maps, at n places of a batch of its own."""
        first = torch.zeros(n, dtype=torch.long, device=x.device)
        passes = network.forward_passes, network.backward_passes
        with listening():
            made = job.method(network, job.compute.place(x[first]), target[first], job.rng([ids[0]] * n, x.device))
        network.forward_passes, network.backward_passes = passes
        return made.detach().nan_to_num(0, 0, 0)

    everywhere, alone = by_itself(len(ids)), by_itself(1)
    bound = ROUNDING.get(x.device.type, AMPLIFIED) * float(maps[0].norm())
    _alike(name, "map", ids[0], maps[0], everywhere, alone, bound)
    with global_streams(OTHER, [x.device]):
        drawn = by_itself(1)
    if _far(drawn[0], alone[0], bound):
        raise UserError(f"{name} draws from a global random generator, which it puts back: let it {FROM_STREAMS}.")


def unmixed(
    metric: str,
    image: str,
    among: dict[str, np.ndarray],
    by_itself: Callable[[int], dict[str, np.ndarray]],
    device: str,
) -> None:
    """UserError: the metric, a guest, gives an image other numbers by itself than among others.

    among: of a batch whose first this image is, [B] or [B, S].  by_itself: of n of this image.
    """
    everywhere, once = by_itself(len(next(iter(among.values())))), by_itself(1)
    for name, values in among.items():
        said = [
            torch.from_numpy(np.nan_to_num(of[name], nan=BEYOND, posinf=BEYOND, neginf=BEYOND))
            for of in (among, everywhere, once)
        ]
        bound = ROUNDING.get(device, AMPLIFIED) * float(np.abs(np.nan_to_num(values, nan=0, posinf=0, neginf=0)).max())
        _alike(f"metric {metric}", name, image, said[0][0], said[1], said[2], bound)


def _alike(name: str, what: str, image: str, among: Tensor, everywhere: Tensor, alone: Tensor, bound: float) -> None:
    """UserError: what is said of an image depends on more than this image.

    among: in a batch of others; everywhere: at each place of a batch of itself, as wide; alone: in a batch of one, [1, …].
    """
    if _far(everywhere[0], among, bound):
        raise UserError(
            f"{name} gives {image} another {what} among other images than by itself: let nothing in it mix images, such as "
            "a mean, maximum, sum or rank over the first dimension."
        )
    if any(_far(one, everywhere[0], bound) for one in everywhere[1:]):
        raise UserError(
            f"{name} gives one image another {what} at another place of its batch: what it draws or counts there must be "
            "the image's own, as what the streams of the images draw is (docs/your_method.md)."
        )
    if _far(alone[0], everywhere[0], max(bound, bound / ROUNDING["cpu"] * AMPLIFIED)):
        raise UserError(f"{name} gives one image another {what} in a batch of one: let it not ask how many there are.")


def _far(one: Tensor, other: Tensor, bound: float) -> bool:
    return bool((one - other).double().norm() > bound)


def given_numbers(metric: str, found: Any, batch: MapBatch, before: list[tuple[int, int]]) -> dict[str, Tensor]:
    """What somebody's metric says. UserError: it is no number an image that a row has a place for; or it changed its batch.

    before: `versions` of the batch before it was asked.
    """
    if not isinstance(found, Mapping) or not found:
        raise UserError(f"metric {metric} returned {called(found)}: expected numbers by name, {{'score': tensor [B]}}.")
    numbers, n = {}, len(batch.x)
    for name, values in found.items():
        if name not in (*NUMBERS, *CURVES):
            raise UserError(f"metric {metric} gives {name!r}: expected one of {', '.join((*NUMBERS, *CURVES))}.")
        if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
            values = torch.from_numpy(np.array(values, values.dtype.newbyteorder("=")))
        shape, axes = ("[B, S]", 2) if name in CURVES else ("[B]", 1)
        fits = isinstance(values, Tensor) and not values.is_complex() and values.ndim == axes
        if not fits or len(values) != n:
            raise UserError(f"metric {metric} gives {called(values)} as {name}: expected a real tensor {shape}, B={n}.")
        numbers[name] = values.detach()
    if versions(batch) != before:
        raise UserError(
            f"metric {metric} changes images, classes or maps, which other metrics read: let it clone them."
        )
    return numbers


def versions(batch: MapBatch) -> list[tuple[int, int]]:
    """Which tensors these are, and how often something was done to them in place."""
    return [(id(tensor), tensor._version) for tensor in (batch.x, batch.target, batch.attribution)]
