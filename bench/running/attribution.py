"""Runs the method on a batch, times it, counts its passes and checks what it returned."""

from pathlib import Path

import numpy as np
from torch import Tensor

from bench.notes import listening
from bench.rng import Rng
from bench.running.job import Job
from bench.running.timing import Clock
from bench.store.atomic import atomic_write
from bench.types import Images, Targets


def explain(job: Job, x: Images, target: Targets, ids: list[str], n: int) -> tuple[Images, list[dict]]:
    """The maps, and for each of the first n images what its row says of the attribution.

    A map that is not finite is a failed row, never a score: it is set to zero here so that it can stay in the batch.
    """
    network = job.network
    before = network.forward_passes, network.backward_passes
    with Clock(job.compute) as clock, listening() as notes:
        maps = job.method(network, x, target, Rng(job.seed, job.method_name, ids, x.device)).detach()
    if maps.shape != x.shape:
        raise ValueError(
            f"{job.config.cfg.method._target_} returned {tuple(maps.shape)}; expected the input's shape {tuple(x.shape)}"
        )
    finite = maps.isfinite().flatten(1).all(dim=1).tolist()
    same_for_all = {
        "seconds_attribution": clock.seconds / n,
        "forward_passes": (network.forward_passes - before[0]) / len(x),
        "backward_passes": (network.backward_passes - before[1]) / len(x),
    }
    notes = {name: values.tolist() if isinstance(values, Tensor) else values for name, values in notes.items()}
    facts = []
    for i in range(n):
        fact = same_for_all | {name: values[i] for name, values in notes.items()}
        fact["error"] = fact.get("error") or (None if finite[i] else "the map holds NaN or infinity")
        facts.append(fact | {"status": "failed" if fact["error"] else "ok"})
    return maps.nan_to_num(0, 0, 0), facts


def save(job: Job, maps: dict[str, Tensor | None]) -> None:
    """<results>/attributions/<attribution id>/<image id>.npy, float32 [3, H, W], if wanted or there already: what lies
    there is never the map of an image as it once was. None: there is no map, and what lies there goes.
    """
    for image, values in maps.items():
        file = _file(job, image)
        if values is None:
            file.unlink(missing_ok=True)
            continue
        if not (job.save_attributions or file.exists()):
            continue
        with atomic_write(file) as path, path.open("wb") as stream:
            np.save(stream, values.float().cpu().contiguous().numpy())


def unsaved(job: Job, image: str) -> bool:
    """Whether the map of this image is wanted and not there."""
    return job.save_attributions and not _file(job, image).exists()


def _file(job: Job, image: str) -> Path:
    return job.maps / f"{image}.npy"
