"""What a run will cost, said before it starts: passes from a dry run, seconds from two passes of the network."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from bench.cell import Cell, bind, build
from bench.config import Config
from bench.data import Source
from bench.errors import UserError
from bench.models import Network
from bench.preprocessing import Preprocessing
from bench.rng import Rng
from methods.notes import listening
from metrics.trial import Trial

CLASSES = 1000  # of a network that has not been loaded


@dataclass(frozen=True)
class Forecast:
    """Passes an image, and the seconds that a batch of them takes."""

    forward: int  # of the method
    backward: int
    scoring: int
    seconds_a_batch: float

    def line(self, images: int, batch_size: int) -> str:
        batches = -(-images // batch_size)
        return (
            f"{images} images, each {self.forward} forward and {self.backward} backward passes of the method (at most) "
            f"and {self.scoring} of scoring, {batch_size} images a pass: about {duration(batches * self.seconds_a_batch)}."
        )


def forecast(cell: Cell, metrics: list[str]) -> Forecast:
    """Run method and metrics on a network that only counts: exact, but for methods that stop early, where it is the most."""
    classes, one_forward, one_backward = _try(cell)
    metrics = [cell.metrics[name] for name in metrics]
    try:
        forward, backward, scoring = count(cell.method, metrics, cell.network.preprocessing, classes)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:  # a value they do not know
        raise UserError(f"method={cell.method_name} or a metric does not take these settings: {error}.") from error
    seconds = (forward + scoring) * one_forward + backward * one_backward
    return Forecast(forward, backward, scoring, seconds)


def count(method: Callable, metrics: list[Callable], images: Preprocessing, classes: int) -> tuple[int, int, int]:
    """Forward and backward passes of a method, at most, and passes that score its map, for one image."""
    stub = Stub(images, classes)
    x, target = torch.zeros(1, 3, *[images.size] * 2) + 0.5, torch.zeros(1, dtype=torch.long)
    with listening() as notes:
        maps = method(stub, x, target, Rng(0, "forecast", ["image"])).detach()
    counted = stub.forward_passes, stub.backward_passes
    forward = int(notes.get("forward_passes", counted)[0])
    backward = int(notes.get("backward_passes", counted[1:])[0])
    if metrics:
        trial = Trial(stub, x, target, maps, ids=["image"], seed=0, colour=lambda: torch.zeros(3), mask=x[:, 0] > 0)
    for metric in metrics:
        metric(trial)
    return forward, backward, stub.forward_passes - counted[0]


def total(configs: list[Config], source: Source, images: int) -> str:
    """One line about a whole sweep, counted without a network.  images: of each cell."""
    known, forward, backward = {}, 0, 0
    for config in configs:
        cfg = config.cfg
        key = str([cfg.method, cfg.metric, cfg.model.size])
        if key not in known:
            method = build(cfg.method, "method")
            bind(method, source, cfg.run.seed)
            metrics = [build(metric, f"metric.{name}") for name, metric in cfg.metric.items()]
            known[key] = count(method, metrics, Preprocessing(cfg.model.size, cfg.model.size), CLASSES)
        forward, backward = forward + known[key][0] + known[key][2], backward + known[key][1]
    passes = f"{images * forward:,} forward and {images * backward:,} backward passes"
    return f"{len(configs)} cells of {images} images: {passes} at most, less what is there already."


class Stub(Network):
    """A network of no cost that has made up its mind, so that methods which stop early do not."""

    def __init__(self, images: Preprocessing, classes: int):
        super().__init__(
            nn.Identity(),
            mean=None,
            std=None,
            preprocessing=images,
            feature_layer=None,
            confusion=None,
            weights_file=None,
        )
        self.evidence = 50 * torch.eye(classes)[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.forward_passes += len(x)
        logits = self.evidence + self.net(x).mean(dim=(1, 2, 3))[:, None]
        if logits.requires_grad:
            logits.register_hook(self._count_backward)
        return logits

    def layer(self, name: str | None = None) -> nn.Module:
        return self.net


def _try(cell: Cell) -> tuple[int, float, float]:
    """The number of classes, and the seconds of one forward and one backward pass of a batch, warm."""
    size, compute = cell.network.preprocessing.size, cell.compute
    x = torch.full((compute.batch_size, 3, size, size), 0.5, device=compute.device, dtype=compute.dtype)
    for _ in range(2):
        with torch.enable_grad():
            x.requires_grad_()
            times = [_now(cell)]
            logits = cell.network(x)
            times.append(_now(cell))
            torch.autograd.grad(logits.sum(), x)
            times.append(_now(cell))
        spent = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    return logits.shape[1], spent[0], spent[1]


def _now(cell: Cell) -> float:
    cell.compute.synchronise()
    return time.perf_counter()


def duration(seconds: float) -> str:
    """'12 s', '3 min', '5.2 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
