"""One batch of images, the network that sees it, and the maps that are compared there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from bench.config import load
from bench.images.stream import stream
from bench.report import means
from bench.rng import Rng
from bench.running.job import Job, build
from bench.studies.contradictions.words import RANDOM, Finding, compared, mean
from bench.types import Images, Targets
from metrics.batch import MapBatch, Readings
from metrics.perturbation import perturbation

STEPS = 32  # of insertion and deletion, unless it is said


@dataclass(frozen=True)
class Sight:
    """Images, classes and labels, of which all maps here are. Maps and the control's scores are made once."""

    network: nn.Module
    x: Images
    target: Targets
    ids: list[str]
    seed: int
    labels: Sequence[int | None] = ()
    steps: int = STEPS  # of insertion and deletion
    draws: int = 2000  # behind an interval
    _kept: dict = field(default_factory=dict, compare=False)

    @property
    def classes(self) -> np.ndarray | None:
        """What intervals are over, if it is not images."""
        return means.classes(pd.DataFrame({"label": pd.Series([*self.labels], dtype=object)}))

    def rng(self, name: str) -> Rng:
        return Rng(self.seed, name, self.ids, self.x.device)

    def map(self, name: str, *settings: str) -> Images:
        key = (name, *settings)
        if key not in self._kept:
            method = build(load([f"method={name}", *settings]).cfg.method, "method")
            self._kept[key] = method(self.network, self.x, self.target, self.rng(name)).detach()
        return self._kept[key]

    def trial(self, maps: Images) -> MapBatch:
        return MapBatch(
            self.network, self.x, self.target, maps, ids=self.ids, seed=self.seed, colour=lambda: torch.zeros(3)
        )

    def scores(self, maps: Images, order: str = "element") -> Readings:
        """Insertion and deletion, from black."""
        step = max(1, self.x[0, 0].numel() // self.steps) * (3 if order == "element" else 1)
        return perturbation(self.trial(maps), order=order, baseline="black", readout="probability", step=step)

    def control(self, order: str) -> Readings:
        """The scores of a random map."""
        if order not in self._kept:
            self._kept[order] = self.scores(self.map(RANDOM), order)
        return self._kept[order]

    def games(
        self, maps: Mapping[str, Images], apart: Sequence[tuple[str, str]] = (), order: str = "element"
    ) -> Iterator[Finding]:
        """Insertion and deletion of each map beside a random one's, and the differences of pairs."""
        played = {RANDOM: self.control(order)} | {name: self.scores(of, order) for name, of in maps.items()}
        columns = [{name: numbers(of[q]) for name, of in played.items()} for q in ("insertion", "deletion")]
        what = "U-INS / U-DEL" if order == "element" else f"INS / DEL under `{order}`"
        yield from self.beside(what, columns, apart)

    def beside(
        self,
        what: str,
        columns: Sequence[Mapping[str, np.ndarray]],
        apart: Sequence[tuple[str, str]] = (),
        digits: int = 3,
    ) -> Iterator[Finding]:
        return compared(what, columns, apart, classes=self.classes, draws=self.draws, digits=digits)

    def mean(self, values: Tensor, digits: int = 3) -> str:
        """Over the images, [n], with its interval."""
        return mean(numbers(values), self.classes, self.draws, digits)


def numbers(values: Tensor) -> np.ndarray:
    """[n], in double precision, on the CPU."""
    return values.detach().cpu().double().numpy()


def look(job: Job, steps: int) -> Sight:
    """All images of the job as one batch."""
    batch = next(stream(job.source, job.ids, len(job.ids), workers=0))
    x = job.compute.place(batch.x[: len(batch.ids)])
    with torch.no_grad():
        target = job.network(x).argmax(dim=1)
    bootstrap = job.config.cfg.report.bootstrap
    return Sight(job.network, x, target, batch.ids, job.seeds.draws, batch.labels, steps, bootstrap)
