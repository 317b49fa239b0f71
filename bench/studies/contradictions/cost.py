"""What the entries will cost: passes, counted by measuring them on a network that only counts, and seconds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from omegaconf import OmegaConf

from bench.running.forecast import CLASSES, Stub, timed
from bench.running.job import Job
from bench.studies.contradictions.entries import OF_A_NETWORK, ONCE
from bench.studies.contradictions.sight import Sight
from bench.text import duration, plural


@dataclass(frozen=True)
class Passes:
    """Forward and backward, at most: methods that stop early make fewer."""

    forward: int = 0
    backward: int = 0

    def __add__(self, other: "Passes") -> "Passes":
        return Passes(self.forward + other.forward, self.backward + other.backward)

    def __str__(self) -> str:
        return f"{self.forward:,} forward and {plural(self.backward, 'backward pass')}"


def passes(chosen: Iterable[int], steps: int, stub: Stub) -> tuple[Passes, Passes]:
    """Of the entries: for each image, the one that finds its class included, and once for all."""
    x = torch.full((1, 3, *[stub.preprocessing.size] * 2), 0.5)
    sight = Sight(stub, x, torch.zeros(1, dtype=torch.long), ["image"], seed=0, labels=[0], steps=steps)
    an_image, once = Passes(1), Passes()
    stub.most = math.inf  # type: ignore[assignment]  # of many methods together
    for number in chosen:
        stub.forward_passes = stub.backward_passes = 0
        for _ in OF_A_NETWORK[number](sight):
            pass
        spent = Passes(stub.forward_passes, stub.backward_passes)
        an_image, once = (an_image, once + spent) if number in ONCE else (an_image + spent, once)
    return an_image, once


def said(job: Job, chosen: Iterable[int], steps: int) -> str:
    """One sentence."""
    an_image, once = passes(chosen, steps, Stub(job.network.preprocessing, CLASSES, job.network))
    pace = timed(*(OmegaConf.to_yaml(node, resolve=True) for node in (job.config.cfg.model, job.config.cfg.compute)))
    n = len(job.ids)
    forward, backward = n * an_image.forward + once.forward, n * an_image.backward + once.backward
    besides = f", and {once} once" if once != Passes() else ""
    return (
        f"{plural(n, 'image')}, each {an_image} at most{besides}: "
        f"about {duration(pace.seconds(forward, backward))} here, going by a pass or two of the network."
    )
