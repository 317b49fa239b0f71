"""Runs the method on a batch, times it, counts its passes and checks what it returned."""

from collections.abc import Callable

import torch
from torch import Tensor

from bench.errors import Refused, UserError
from bench.exact import double
from bench.notes import listening
from bench.running.job import Job
from bench.running.kept import kept_maps
from bench.running.timing import Clock
from bench.types import Images, Targets

TOLERANCE = 0.1  # of the sum that a method promises: what its maps may miss of it before a run says so
SMALL = 0.05  # a promise below this, of a probability or a logit, is taken for this


def attribute(job: Job, x: Images, target: Targets, ids: list[str], n: int) -> tuple[Images, list[dict]]:
    """The maps, and for each of the first n images what its row says of the attribution.

    A map that is not finite is a failed row, never a score: it is set to zero here so that it can stay in the batch.
    """
    network = job.network
    before = network.forward_passes, network.backward_passes
    with Clock(job.compute) as clock, listening() as notes:
        kept = kept_maps(job, ids)
        made = kept is None
        try:
            maps = _explained(job, x, target, ids) if made else kept
        except UserError as error:
            raise Refused(str(error)) from error
    if maps.shape != x.shape:
        raise ValueError(
            f"{job.config.cfg.method._target_} returned {tuple(maps.shape)}; expected the input's shape {tuple(x.shape)}"
        )
    finite = maps.isfinite().flatten(1).all(dim=1).tolist()
    same_for_all: dict[str, float | None] = {
        "seconds_attribution": clock.seconds / n,
        "forward_passes": (network.forward_passes - before[0]) / len(x),
        "backward_passes": (network.backward_passes - before[1]) / len(x),
    }
    if not made:  # what it cost is told by the rows of the run that made them
        same_for_all = dict.fromkeys(same_for_all)
    notes = {name: values.tolist() if isinstance(values, Tensor) else values for name, values in notes.items()}
    facts = []
    for i in range(n):
        fact = same_for_all | {name: values[i] for name, values in notes.items()}
        fact["error"] = fact.get("error") or (None if finite[i] else "the map holds NaN or infinity")
        facts.append(fact | {"status": "failed" if fact["error"] else "ok"})
    return maps.nan_to_num(0, 0, 0), facts


def again(job: Job, target: Targets, ids: list[str]) -> Callable[[Images], Images] | None:
    """The method on other versions of these images, with the very draws that it had. NaN where it fails.

    None: it reads its maps from files.
    """
    if reads_files(job.method):
        return None

    def explain(images: Images) -> Images:
        with listening() as notes, torch.autocast(images.device.type, enabled=False):  # as the maps were made
            maps = _explained(job, images, target, ids)
        fails = torch.tensor([bool(error) for error in notes.get("error", [None] * len(maps))], device=maps.device)
        return maps.masked_fill(fails.view(-1, 1, 1, 1), torch.nan)

    return explain


def reads_files(method: Callable) -> bool:
    """Whether its maps were made elsewhere."""
    return hasattr(getattr(method, "func", None), "fingerprint")


def _explained(job: Job, x: Images, target: Targets, ids: list[str]) -> Images:
    return job.method(job.network, x, target, job.rng(ids, x.device)).detach()


def remarks(maps: Images, facts: list[dict]) -> tuple[dict[int, float], list[int]]:
    """What is odd of the first len(facts) maps, by their number: of those that miss the sum that they promise, by how much
    of it; and those that are the same everywhere, so that a metric reads nothing but the order of ties.
    """
    flat = double(maps[: len(facts)].flatten(1))
    sums, same = flat.sum(dim=1).tolist(), (flat.amin(dim=1) == flat.amax(dim=1)).tolist()
    whole = [i for i, fact in enumerate(facts) if fact["status"] == "ok"]
    gaps = {i: facts[i]["completeness_gap"] for i in whole if facts[i].get("completeness_gap") is not None}
    shares = {i: abs(gap) / max(abs(sums[i] - gap), SMALL) for i, gap in gaps.items()}
    return {i: share for i, share in shares.items() if share > TOLERANCE}, [i for i in whole if same[i]]
