"""What a method or metric of somebody else's does to a run's first batch, and what its numbers are: what is wrong of them is
said in one sentence, before a row of them is written.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.errors import UserError
from bench.notes import listening
from bench.running.guests import Guest, called
from bench.running.job import Job
from bench.running.post import Processed
from bench.store.parts import CURVES
from bench.types import Images, Targets
from metrics.batch import MapBatch
from metrics.quantities import NUMBERS

ROUNDING = {"cpu": 1e-3}  # of a map's length, that other images in the batch may change by rounding
AMPLIFIED = 0.05  # on a GPU, which adds up in any order: a step along a sign makes much of little


def guest(job: Job) -> Guest | None:
    """The job's method, if it is one."""
    method = job.method.method if isinstance(job.method, Processed) else job.method
    return method if isinstance(method, Guest) else None


def network_state(job: Job) -> tuple[str, int]:
    """What a method leaves alone: what the network has learnt, and how many hooks look on."""
    hooks = sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in job.network.modules()
    )
    return job.network.digest(), hooks


def examine(job: Job, x: Images, target: Targets, ids: list[str], maps: Images, before: tuple[str, int]) -> None:
    """UserError: the method, a guest, changed the network, or gave an image another map than by itself.

    x, target, ids, maps: of a batch; maps with 0 for what is no number.  before: the network's state before they were made.
    """
    name, network = guest(job).name, job.network  # type: ignore[union-attr]
    if network_state(job) != before:
        raise UserError(f"{name} changes the network: let it leave weights, buffers and hooks as it found them.")
    first = torch.zeros(len(ids), dtype=torch.long, device=x.device)
    passes = network.forward_passes, network.backward_passes
    with listening():
        alone = job.method(network, job.compute.place(x[first]), target[first], job.rng([ids[0]] * len(ids), x.device))
    network.forward_passes, network.backward_passes = passes
    apart, length = (alone[0].detach().nan_to_num(0, 0, 0) - maps[0]).norm(), maps[0].norm()
    if apart > ROUNDING.get(x.device.type, AMPLIFIED) * length:
        raise UserError(
            f"{name} gives {ids[0]} another map among other images than by itself: let nothing in it mix images, such as a "
            "mean, maximum or sum over the first dimension."
        )


def unmixed(metric: str, image: str, among: dict[str, np.ndarray], alone: dict[str, np.ndarray], device: str) -> None:
    """UserError: the metric, a guest, gives an image other numbers by itself than among others.

    among: of a batch whose first this image is, [B] or [B, S].  alone: of as many of this image.
    """
    for name, values in among.items():
        numbers, first = (np.nan_to_num(found, nan=0, posinf=0, neginf=0) for found in (values, alone[name][0]))
        bound = ROUNDING.get(device, AMPLIFIED) * np.abs(numbers).max()
        if (np.abs(first - numbers[0]) > bound).any() or (np.isfinite(alone[name][0]) != np.isfinite(values[0])).any():
            raise UserError(
                f"metric {metric} gives {image} another {name} among other images than by itself: let nothing in it mix "
                "images, such as a mean, maximum or rank over the first dimension."
            )


def given_numbers(metric: str, found: Any, batch: MapBatch, before: list[int]) -> dict[str, Tensor]:
    """What somebody's metric says. UserError: it is no number an image that a row has a place for; or it changed its batch.

    before: `versions` of the batch before it was asked.
    """
    if not isinstance(found, Mapping) or not found:
        raise UserError(f"metric {metric} returned {called(found)}: expected numbers by name, {{'score': tensor [B]}}.")
    numbers, n = {}, len(batch.x)
    for name, values in found.items():
        if name not in (*NUMBERS, *CURVES):
            raise UserError(f"metric {metric} gives {name!r}: expected one of {', '.join((*NUMBERS, *CURVES))}.")
        values = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
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


def versions(batch: MapBatch) -> list[int]:
    """Counts what was done in place."""
    return [tensor._version for tensor in (batch.x, batch.target, batch.attribution)]
