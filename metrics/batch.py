"""One batch of maps, and what its metrics share.

Metrics that play the same game read different things off the same frames, and every game begins or ends with the clean image
and with the baseline: each is passed through the network once. Two orders may come out the same (of a map without ties, of
one with three equal channels), two baselines too (a network's confusion colour is grey): then their games are the same.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

import torch
from torch import Tensor, nn

from bench.passes import count_own, through
from bench.rng import Rng
from bench.types import Images, Masks, Targets
from metrics.baselines import baseline_image
from metrics.imputation import imputed, noise_of
from metrics.orders import OF_ALL, reveal_index

READOUTS = ("probability", "logit", "kl")
Readings = dict[str, Tensor]  # what is read off the network: readout -> [B], or [B, S] along a curve


class Unfit(ValueError):
    """A metric cannot score these images, whatever the map. The message says what they lack, and the cure.

    key: the metric's setting that is to blame, if one is.
    """

    def __init__(self, message: str, key: str | None = None):
        super().__init__(message)
        self.key = key

    def of(self, metric: str) -> str:
        """The message, with the name of the metric or of its key."""
        return f"metric.{metric}.{self.key}: {self}" if self.key else f"metric={metric}: {self}"


class MapBatch:
    """Maps of a batch of images, all of one method. Nothing here mixes images."""

    def __init__(
        self,
        model: nn.Module,
        x: Images,
        target: Targets,
        attribution: Images,
        *,
        ids: Sequence[str],
        seed: int,
        colour: Callable[[], Tensor],
        mask: Masks | None = None,
        ignored: Masks | None = None,
        explain: Callable[[Images], Images] | None = None,
    ):
        """colour: gives the network's confusion colour, [3], when a metric asks for it.

        mask: where the object is; None: nobody knows.  ignored: what is neither object nor ground; None: nothing.

        explain: the method again, on other versions of these images; None: the maps were not made here.
        """
        self.model, self.x, self.target, self.attribution = model, x, target, attribution
        self.ids, self.seed, self.mask, self.ignored = ids, seed, mask, ignored
        self.own = count_own(ids, len(x))
        self._explain = explain
        # Each is worked out once, when the first metric asks.
        everything = torch.ones_like(x[:, :1], dtype=torch.bool)
        self._noise = cache(lambda: noise_of(ids, x))
        self.baseline = cache(
            lambda name: self.without(everything, name) if name == "linear" else baseline_image(name, x, colour)
        )
        self.clean = cache(lambda: self.read(x))
        self.blank = cache(lambda name: self.read(self.baseline(name)))
        self.curves = cache(self._curves_of)
        self._alike = cache(self._same_baseline)
        self._played: list[tuple[Tensor, int, str, tuple[Readings, Readings]]] = []

    def rng(self, name: str) -> Rng:
        """A metric's own streams: the same perturbations for every method."""
        return Rng(self.seed, name, self.ids, self.x.device)

    def explain(self, images: Images) -> Images:
        """The maps of other versions of these images: same classes, same draws. Raises Unfit where nobody can make them."""
        if self._explain is None:
            raise Unfit(
                "it explains images again, and these maps are read from files; leave it out, or name the method."
            )
        return self._explain(images)

    def read(self, images: Images) -> Readings:
        """One forward pass, and all that can be read off it. kl is KL(uniform || p) in nats."""
        return dict(zip(READOUTS, self._read(images, self.target), strict=True))

    def read_all(self, frames: Iterable[Images]) -> Iterator[Readings]:
        """Of each frame of these images what `read` says of it, in full passes: frames are asked for ahead of readings."""
        for seen in through(lambda images, at: self._read(images, self.target[at]), frames, self.own):
            yield dict(zip(READOUTS, seen, strict=True))

    @torch.inference_mode()
    def _read(self, images: Images, target: Targets) -> tuple[Tensor, ...]:
        """READOUTS, [B] each."""
        logits = self.model(images)
        if logits.dtype == torch.bfloat16:  # half precision is for the network's own passes
            logits = logits.float()
        log_p, target = logits.log_softmax(dim=1), target[:, None]
        return (
            log_p.gather(1, target).squeeze(1).exp(),
            logits.gather(1, target).squeeze(1),
            -math.log(log_p.shape[1]) - log_p.mean(dim=1),
        )

    def without(self, taken: Tensor, baseline: str) -> Images:
        """The images after these values were taken away. taken: bool [B, 3 or 1, H, W]."""
        if baseline == "linear":
            return imputed(self.x, taken, self._noise())
        return torch.where(taken, self.baseline(baseline), self.x)

    @torch.inference_mode()
    def _curves_of(self, order: str, baseline: str, step: int) -> tuple[Readings, Readings]:
        """Insertion and deletion, frame by frame: readout -> [B, S + 1], both ends included."""
        tau, steps = reveal_index(self.attribution, order, step)
        if steps < 2:
            values = self.x[0].numel() if order in OF_ALL else self.x[0, 0].numel()
            raise Unfit(
                f"{step} values a step leave no point between a curve's ends; expected fewer than {values}.", "step"
            )
        for other, as_many, of, curves in self._played:
            if as_many == steps and self._alike(baseline, of) and bool((tau == other).all()):
                return curves
        tau = tau.contiguous(memory_format=torch.channels_last)  # the layout in which images are placed
        turns = range(1, steps)
        insertion = self.read_all(self.without(tau >= i, baseline) for i in turns)
        deletion = self.read_all(self.without(tau < i, baseline) for i in turns)
        ends = self.blank(baseline), self.clean()
        found = _curves([ends[0], *insertion, ends[1]]), _curves([ends[1], *deletion, ends[0]])
        self._played.append((tau.short() if steps < 2**15 else tau, steps, baseline, found))
        return found

    def _same_baseline(self, one: str, other: str) -> bool:
        """Whether what is taken away becomes the same. `linear` is no picture of its own."""
        return one == other or "linear" not in (one, other) and torch.equal(self.baseline(one), self.baseline(other))


def _curves(frames: list[Readings]) -> Readings:
    return {readout: torch.stack([frame[readout] for frame in frames], dim=1) for readout in frames[0]}
