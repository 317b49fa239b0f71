"""What a run will cost, said before it starts: passes from a dry run, seconds from two passes of the network."""

import functools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from hydra.errors import HydraException
from omegaconf import OmegaConf
from torch import nn

from bench.config import USUAL_SIZE, Config
from bench.errors import UserError
from bench.images.preprocessing import Preprocessing
from bench.images.source import Source
from bench.networks.layers import Layer, probes
from bench.networks.network import Network, open_network, published_colour
from bench.notes import listening
from bench.rng import Rng
from bench.running.attribution import reads_files
from bench.running.compute import CPU_BATCH, Compute, find_device, prepare
from bench.running.job import Job, bind, build
from bench.running.kept import all_kept, kept_exactly
from bench.running.post import build_method, plain
from bench.seeds import Seeds
from bench.text import duration, plural
from metrics.batch import MapBatch, Unfit
from metrics.imputation import linear

CLASSES = 1000  # of a network that has not been loaded
MOST_PASSES = 20_000  # forward, of a method, for an image: more than that is a slip, or a loop without an end
SHOWN = 2  # images that a CPU is timed by
QUICK, TRIES = 0.3, 3  # seconds below which it is by a whole batch, the best of so many


@dataclass(frozen=True)
class Forecast:
    """Passes an image, and the seconds that a whole batch of them takes."""

    forward: int  # of the method
    backward: int
    scoring: int
    again: int  # times that a metric has the method explain the image again
    imputed: int  # of the frames of scoring, those that are made of what their surroundings suggest
    kept: bool  # the maps lie there, and it is only for such a metric that the method is called
    seconds_a_batch: float
    of_scoring: float  # of these: frames of few images fill their passes
    waiting: float = 1.0  # share of the method's passes in which each image takes a place, whether it is there or not

    def seconds(self, images: int, batch_size: int) -> float:
        whole, rest = divmod(images, batch_size)
        padded = self.waiting * (self.seconds_a_batch - self.of_scoring) if rest else 0.0
        return whole * self.seconds_a_batch + padded + (self.seconds_a_batch - padded) * rest / batch_size

    @property
    def filled(self) -> int:
        """Forward passes that few images fill."""
        return self.passes - round(self.waiting * (self.passes - self.scoring))

    @property
    def passes(self) -> int:
        """Forward passes, all in all."""
        return self.forward * (self.again + (not self.kept)) + self.scoring

    def line(self, images: int, batch_size: int) -> str:
        told = f", and {self.again} times as many again for metrics that explain anew" if self.again else ""
        passes = f"{self.forward} forward and {plural(self.backward, 'backward pass')} of the method (at most{told})"
        if not self.forward + self.backward + self.again:
            passes = f"no pass of the {'method' if self.scoring else 'network'}"
        if self.kept:
            passes = (
                f"{self.again} times {passes.partition(' (')[0]} (at most)"
                if self.again
                else "no pass for its map, which lies there,"
            )
        scored = f" and {self.scoring} of scoring" if self.scoring else ""
        return (
            f"{plural(images, 'image')}, each {passes}{scored}, {plural(batch_size, 'image')} a pass: "
            f"about {duration(self.seconds(images, batch_size))}."
        )


def forecast(job: Job, names: list[str], images: Iterable[str] = ()) -> Forecast:
    """Run method and metrics on a network that only counts: exact, but for methods that stop early, where it is the most.

    images: what is to do, of which the maps may lie there already.
    """
    classes, pace = _try(job.network, job.compute, job.compute.batch_size)
    metrics = {name: job.metrics[name] for name in names}
    try:
        counted = count(
            job.method, metrics, job.network.preprocessing, classes, job.network, colour=job.network.confusion
        )
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:  # a value they do not know
        raise UserError(f"method={job.method_name} or a metric does not take these settings: {error}.") from error
    forward, backward, scoring, again, imputed = counted
    images = list(images)
    kept = all_kept(job, images)
    few = 0 < len(images) < job.compute.batch_size and not kept
    waiting = _waiting(job.method, Stub(job.network.preprocessing, classes, job.network), forward) if few else 1.0
    times = again + (not kept)
    of_scoring = pace.seconds(scoring) * pace.batch_size
    if imputed:
        of_scoring += imputed * imputing(job.network.preprocessing.size, job.compute.batch_size, job.compute.device)
    seconds = pace.seconds(forward, backward) * pace.batch_size * times + of_scoring
    return Forecast(*counted, kept, seconds, of_scoring, waiting)


def _waiting(method: Callable, stub: "Stub", alone: int) -> float:
    """The share of a method's passes that wait for each other, from what one image in two places takes.

    alone: forward passes of one image in one place.
    """
    if stated(method) is not None or not alone:
        return 1.0
    stub.most *= 2
    x = torch.zeros(2, 3, *[stub.preprocessing.size] * 2) + 0.5
    with listening():
        method(stub, x, torch.zeros(2, dtype=torch.long), Rng(0, "forecast", ["image", "image"]))
    return min(1.0, max(0.0, stub.forward_passes / alone - 1))


def stated(method: Callable) -> Callable | None:
    """What tells a method's passes without a dry run, if its function has such: passes(network, **hyperparameters)."""
    return getattr(getattr(method, "func", None), "passes", None)


def count(
    method: Callable,
    metrics: dict[str, Callable],
    images: Preprocessing,
    classes: int,
    network: Network | None = None,
    *,
    colour: Sequence[float] | None = None,
) -> tuple[int, int, int, int, int]:
    """Forward and backward passes of a method, at most, passes that score its map, how many times more it is asked to
    explain, and how many of the scored frames are imputed, for one image.

    network: if there is one already, for a method that names a layer of it, which must be there and fit, and for one that
    states its passes (`passes(network, **hyperparameters)`).  colour: the network's confusion colour; None: like no other.

    Games that are the same on some maps alone (metrics/batch.py) count as different ones.
    """
    stub = Stub(images, classes, network)
    x, target = torch.zeros(1, 3, *[images.size] * 2) + 0.5, torch.zeros(1, dtype=torch.long)
    if (passes := stated(method)) and (of_method := passes(network, **getattr(method, "keywords", {}))):
        (forward, backward), maps = of_method, torch.zeros_like(x)
    else:
        with listening() as notes:
            maps = method(stub, x, target, Rng(0, "forecast", ["image"])).detach()
        counted = stub.forward_passes, stub.backward_passes
        forward = int(notes.get("forward_passes", counted)[0])  # type: ignore[arg-type]
        backward = int(notes.get("backward_passes", counted[1:])[0])  # type: ignore[arg-type]
    before_scoring, asked = stub.forward_passes, []

    def explain(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return maps

    stub.most = math.inf  # type: ignore[assignment]  # a metric ends: its passes are the image's values at most
    if metrics:
        # Each order takes it otherwise: it has ties, and no two channels alike.
        uneven = probes(images.size, x)[:1].mul(64).round()
        batch = MapBatch(
            stub,
            x,
            target,
            uneven,
            ids=["image"],
            seed=0,
            colour=lambda: torch.tensor(colour or [math.nan] * 3),
            mask=x[:, 0] > 0,
            explain=None if reads_files(method) else explain,
        )
    imputed = 0
    for name, metric in metrics.items():
        before = stub.forward_passes
        try:
            metric(batch)
        except Unfit as error:
            raise UserError(error.of(name)) from error
        if getattr(metric, "keywords", {}).get("baseline") == "linear":
            imputed += stub.forward_passes - before
    return forward, backward, stub.forward_passes - before_scoring, len(asked), imputed


@dataclass(frozen=True)
class Cost:
    """What a job of a sweep has still to compute."""

    images: int
    forward: int  # passes, of all its images
    backward: int
    batch_size: int
    seconds: float | None  # on this device; None: it could not be timed
    untimed: str | None = None  # why not

    @property
    def passes(self) -> int:
        """In forward passes, of which a backward pass takes about two."""
        return self.forward + 2 * self.backward


def costs(
    configs: list[Config], source: Callable[[Config, int], Source], left: list[int], kept: Sequence[bool] = ()
) -> list[Cost]:
    """Of each job of a sweep: its passes, counted without a network, and its seconds, if it can be timed.

    source: the images of a job, by size in pixels. left: images that each job has still to compute. kept: whether the maps
    of a job lie there, to which it but does something; none: of no job.
    """
    passes: dict[str, tuple[int, ...]] = {}
    scored: dict[str, tuple[int, ...]] = {}
    waits: dict[str, float] = {}
    found = []
    saved = {
        _map(config) for config in configs if config.cfg.run.save_attributions and not config.cfg.method.get("post")
    }
    for config, images, lies in zip(configs, left, kept or [False] * len(configs), strict=True):
        cfg, pace, untimed = config.cfg, None, None
        try:
            pace = timed(*(OmegaConf.to_yaml(node, resolve=True) for node in (cfg.model, cfg.compute)))
        except (UserError, HydraException, RuntimeError) as error:  # no such device, no memory, no such network
            untimed = str(error).splitlines()[0]
        size = pace.size if pace else cfg.model.size or USUAL_SIZE
        colour, batch_size = published_colour(cfg.model), pace.batch_size if pace else CPU_BATCH
        method, metric = str([plain(cfg.method), size]), str([cfg.get("metric"), size, colour])
        few = 0 < images < batch_size
        if method not in passes or few and method not in waits:  # whatever is done to its maps
            built = build_method(plain(cfg.method))
            bind(built, source(config, size), Seeds.of(cfg.run).images)
            if method not in passes:
                passes[method] = count(built, {}, Preprocessing(size, size), CLASSES)[:2]
            if few:
                waits[method] = _waiting(built, Stub(Preprocessing(size, size), CLASSES), passes[method][0])
        if metric not in scored:  # takes as many, whoever made the map
            metrics = {name: build(node, f"metric.{name}") for name, node in (cfg.get("metric") or {}).items()}
            scored[metric] = count(_blank, metrics, Preprocessing(size, size), CLASSES, colour=colour)[2:]
        (of_method, back), (scoring, again, imputed) = passes[method], scored[metric]
        explaining, back_again = again * of_method, again * back
        if cfg.method.get("post") and kept_exactly(cfg) and (lies or _map(config) in saved):
            of_method, back = 0, 0  # what its maps are made of lies there, or will
        explaining, back = explaining + of_method, back + back_again
        forward = explaining + scoring
        seconds = None
        if pace:
            empty = -images % batch_size * waits.get(method, 1.0)  # places that nobody takes
            seconds = (images + empty) * pace.seconds(explaining, back) + images * pace.seconds(scoring)
            if imputed:
                device = find_device(cfg.compute.device, cfg.compute.precision)
                seconds += images * imputed * imputing(size, batch_size, device) / batch_size
        found.append(Cost(images, images * forward, images * back, batch_size, seconds, untimed))
    return found


def total(configs: list[Config], found: list[Cost]) -> str:
    """Two sentences about a whole sweep: its passes and its hours, if all could be timed."""
    forward, backward = sum(cost.forward for cost in found), sum(cost.backward for cost in found)
    said = f"{forward:,} forward and {plural(backward, 'backward pass')} at most."
    untimed = {config.names["model"]: cost.untimed for config, cost in zip(configs, found, strict=True) if cost.untimed}
    if untimed:
        return f"{said} Hours are not known: {'; '.join(f'{name}: {why}' for name, why in untimed.items())}"
    seconds = sum(cost.seconds or 0 for cost in found)
    return f"{said} About {duration(seconds)} here, one job after the other, going by a pass or two of each network."


def _blank(model: nn.Module, x: torch.Tensor, target: torch.Tensor, rng: Rng) -> torch.Tensor:
    return torch.zeros_like(x)


def _map(config: Config) -> str:
    """Which map it makes, as far as one sweep goes, before anything is done to it."""
    method = OmegaConf.to_container(config.cfg.method, resolve=True)
    method = {key: value for key, value in method.items() if key != "post"}  # type: ignore[union-attr]
    return str([config.names, method, Seeds.of(config.cfg.run), config.cfg.run.target, config.cfg.compute.precision])


@functools.cache
def imputing(size: int, images: int, device: torch.device) -> float:
    """Seconds in which half of the values of so many images are imputed: on a CPU longer than a small network's pass."""
    x = torch.linspace(0, 1, images * 3 * size**2, device=device).view(images, 3, size, size)
    missing, began = x % 0.02 < 0.01, 0.0
    for _ in range(2):  # the second time it is warm
        began = time.perf_counter()
        linear(x, missing).sum().item()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Pace:
    """How fast a network is on this device, in seconds an image."""

    size: int  # of its images, pixels
    batch_size: int
    forward: float  # where a gradient follows
    backward: float
    alone: float  # forward, by the run's engine

    def seconds(self, forward: int, backward: int = 0) -> float:
        """Of so many passes of an image."""
        followed = min(forward, backward)
        return followed * self.forward + (forward - followed) * self.alone + backward * self.backward


@functools.cache
def timed(model: str, settings: str) -> Pace:
    """A network with random weights, as fast as with others: built, timed and let go. Nothing is downloaded.

    model, settings: conf/model and conf/compute as yaml. Where passes take long, a CPU takes as long for an image in a batch
    of two as of eight; of a small network a good part of two is calling its layers. What ONNX Runtime runs is the network
    with its own weights, exported once; nothing is compiled.
    """
    chosen, cfg = OmegaConf.create(model), OmegaConf.merge(OmegaConf.create(settings), {"compile": False})
    if exports := cfg.engine == "onnxruntime":
        network = open_network(chosen)  # type: ignore[arg-type]
    else:
        network = open_network(OmegaConf.merge(chosen, {"weights": "random"}))  # type: ignore[arg-type]
        cfg.engine = "torch"
    batch_size, on_cpu = cfg.batch_size, find_device(cfg.device, cfg.precision).type == "cpu"
    if on_cpu:
        batch_size = CPU_BATCH if batch_size == "auto" else batch_size
        cfg.batch_size = 1  # a larger one is tried out first
    compute, network = prepare(cfg, network)  # type: ignore[arg-type]
    batch_size = batch_size if on_cpu else compute.batch_size
    shown = min(batch_size, SHOWN) if on_cpu else batch_size
    if exports:
        with torch.inference_mode():
            network(compute.place(probes(network.preprocessing.size, torch.zeros(3))))  # which opens the engine
    _, pace = _try(network, compute, shown)
    if shown < batch_size and (pace.forward + pace.backward) * shown < QUICK:
        pace = min((_try(network, compute, batch_size)[1] for _ in range(TRIES)), key=lambda pace: pace.seconds(2, 1))
    del network
    if compute.device.type == "cuda":
        torch.cuda.empty_cache()  # of this network: the first job will want the room
    return replace(pace, batch_size=batch_size)


class Stub(Network):
    """A network of no cost that has made up its mind, so that methods which stop early do not.

    like: the network that it stands for, asked whether a layer that a method names is there and gives a picture.
    """

    def __init__(self, images: Preprocessing, classes: int, like: Network | None = None):
        super().__init__(
            nn.Identity(),
            mean=None,
            std=None,
            preprocessing=images,
            feature_layer=None,
            confusion=None,
            weights_file=None,
        )
        self.most, self._like = MOST_PASSES, [like]  # in a list, so that it is no part of this module
        self.evidence = torch.zeros(classes)
        self.evidence[0] = 50.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.forward_passes += len(x)
        if self.forward_passes > self.most:
            raise UserError(
                f"The method's settings ask for more than {self.most:,} forward passes an image; lower them."
            )
        logits = self.evidence + self.net(x).mean(dim=(1, 2, 3))[:, None]
        if logits.requires_grad:
            logits.register_hook(self._count_backward)
        return logits

    def layer(self, name: str | None = None) -> nn.Module:
        if self._like[0]:
            self._like[0].layer(name)
        return self.net

    def picture(self, name: str | None = None) -> Layer:
        if self._like[0]:
            self._like[0].picture(name)
        return Layer("net", (3, *[self.preprocessing.size] * 2), "channels first", self.preprocessing.size)


def _try(network: Network, compute: Compute, images: int) -> tuple[int, Pace]:
    """The number of classes, and how fast passes of so many images are, warm; by torch unless the run's engine is open."""
    size = network.preprocessing.size
    x = compute.place(torch.full((images, 3, size, size), 0.5))

    @torch.enable_grad()
    def there_and_back() -> int:
        leaf = x.detach().requires_grad_()
        logits = network(leaf)
        torch.autograd.grad(logits.sum(), leaf)
        return logits.shape[1]

    @torch.inference_mode()
    def there(ask: Callable[[torch.Tensor], torch.Tensor]) -> None:
        ask(x)

    def clocked(passes: Callable, *args: object) -> float:
        began = _now(compute)
        passes(*args)
        return (_now(compute) - began) / images

    classes = there_and_back()
    alone = forward = clocked(there, network.eager)
    backward = max(0.0, clocked(there_and_back) - forward)
    if compute.engine and compute.engine.run:
        there(network)  # the first of a shape is slow
        alone = clocked(there, network)
    return classes, Pace(size, images, forward, backward, alone)


def _now(compute: Compute) -> float:
    compute.synchronise()
    return time.perf_counter()
