"""What every method and metric promises, as tests of one's own: on the tiny network, in float64, in a second.

    from heatproof.promises import method_keeps_its_promises

    def test_mine():
        method_keeps_its_promises("mine")

Each raises an AssertionError that says what is not so.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.config import load
from bench.images.stream import stream
from bench.running.job import Job, open_job
from heatproof.__main__ import importable
from metrics.batch import MapBatch
from metrics.quantities import said

IMAGES = 4
ALONE, IN_PAIRS = [[0], [1], [2], [3]], [[3, 1], [0, 2]]  # other batches than all four together
TOLERANCE = 1e-9  # relative and absolute, in float64: rounding differs from batch size to batch size
SMALL = [
    "model=tiny",
    "model.size=32",
    "model.resize=36",
    "data=synthetic",
    f"data.limit={IMAGES}",
    "compute.precision=fp64",
    "compute.device=cpu",
    f"compute.batch_size={IMAGES}",
    "compute.workers=0",
    "run.save_attributions=true",
]


def method_keeps_its_promises(name: str, *settings: str) -> None:
    """Maps of the images' shape, finite, each of its image alone; images and network left as they were.

    name: as in method=NAME.  settings: more of a command line, such as method.steps=5 or another model=.
    """
    job, x, target, ids = opened(f"method={name}", "metric=[]", *settings)
    before, state = x.clone(), job.network.digest()

    def maps(index: Sequence[int]) -> Tensor:
        rng = job.rng([ids[i] for i in index], x.device)
        return job.method(job.network, x[list(index)], target[list(index)], rng)

    together = maps(range(IMAGES))
    assert together.shape == x.shape, (
        f"{name} returns {tuple(together.shape)}; expected the images' shape {tuple(x.shape)}"
    )
    assert together.isfinite().all(), f"{name}: a map holds NaN or infinity"
    assert not together.requires_grad, f"{name}: the maps carry a graph; detach them"
    assert torch.equal(x, before), f"{name} changes the images that it is given"
    assert job.network.digest() == state, f"{name} changes the network"
    same_in_any_batch(name, lambda index: {"map": maps(index)}, {"map": together})


def metric_keeps_its_promises(name: str, *settings: str) -> None:
    """Finite numbers, those that QUANTITIES names, each of its image alone; DRAWS is so; images and maps left as they were.

    name, settings: as for a method.
    """
    job, x, target, ids = opened(f"metric=[{name}]", "method=sm", *settings)
    maps, mask = torch.sin(37 * x), x[:, 0] > 0.5
    before = maps.clone()

    def judged(index: Sequence[int], seed: int = 0) -> dict[str, Tensor]:
        k = list(index)
        batch = MapBatch(
            job.network,
            x[k],
            target[k],
            maps[k],
            ids=[ids[i] for i in k],
            seed=seed,
            colour=lambda: torch.tensor([0.1, 0.5, 0.7], dtype=x.dtype),
            mask=mask[k],
            explain=lambda images: torch.sin(37 * images),
        )
        return job.metrics[name](batch)

    together, about = judged(range(IMAGES)), said(job.config.cfg.metric[name]["_target_"])
    own = {quantity for quantity, kind in about.quantities.items() if not kind.minus}
    numbers = {key for key in together if not key.endswith("_curve")}
    assert numbers == own, f"{name} returns {sorted(numbers)}, and its QUANTITIES name {sorted(own)}"
    for key, values in together.items():
        assert len(values) == IMAGES, f"{name}: {key} has {len(values)} numbers of {IMAGES} images"
        assert values.isfinite().all(), f"{name}: {key} holds NaN or infinity"
    assert torch.equal(maps, before), f"{name} changes the maps that it is given"
    same_in_any_batch(name, judged, together)
    other = judged(range(IMAGES), seed=1)
    same = all(torch.equal(together[key], other[key]) for key in together)
    assert about.draws is not same, (
        f"{name}: DRAWS = {about.draws}, and its numbers {'do not depend' if same else 'depend'} on the seed"
    )


def opened(*settings: str) -> tuple[Job, Tensor, Tensor, list[str]]:
    """A small job, its images [4, 3, 32, 32], the classes that the network sees, and their ids."""
    importable()
    job = open_job(load([*SMALL, *settings]))
    batch = next(iter(stream(job.source, job.ids, job.compute.batch_size, 0)))
    x = job.compute.place(batch.x)
    with torch.inference_mode():
        target = job.network(x).argmax(dim=1)
    return job, x, target.clone(), batch.padded_ids


def same_in_any_batch(
    name: str, made: Callable[[Sequence[int]], dict[str, Tensor]], together: dict[str, Tensor]
) -> None:
    """AssertionError: what an image gets depends on the others of its batch."""
    for index in (*ALONE, *IN_PAIRS):
        for key, values in made(index).items():
            apart = (values - together[key][index]).abs().max().item()
            scale = together[key].abs().max().item()
            assert apart <= TOLERANCE * (1 + scale), (
                f"{name}: the {key} of an image depends on the others of its batch, by {apart:.2g} of {scale:.2g}"
            )
