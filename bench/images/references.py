"""Reference images: what Expected Gradients compares an image with, out of the run's own source.

The pool is drawn by run.seed from all images of the source, whichever of them the run takes, so a row does not depend
on limits, subsets or shards. It is loaded when the first reference is asked for; broken images are passed over, and said.
"""

import hashlib
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch

from bench.errors import UserError
from bench.images.source import ImageError, Sample, Source
from bench.ranges import Count
from bench.rng import Rng, lots
from bench.text import plural
from bench.types import Images


class References:
    """Deals images other images of their source. A method's bound argument: `references(rng, x)`.

    n: how many an image may meet; all others, if the source has no more. The pool holds one more than that, so that an
    image that is in it meets as many as one that is not: an image never meets itself.
    """

    def __init__(self, n: Count):
        self.n = n
        self.images: Any = None  # the pool, [n + 1, 3, H, W], once it is loaded

    def bind(self, source: Source, seed: int) -> None:
        """Say whose images they are. The harness does, before the method runs."""
        self.source, self.seed, self.images = source, seed, None

    def digest(self) -> str:
        """sha256 of what the pool is drawn from: another pool gives an image other references."""
        drawn = islice(self._ids(), self.n + 1)
        return hashlib.sha256("\n".join(f"{i} {self.source.fingerprint(i)}" for i in drawn).encode()).hexdigest()

    def __call__(self, rng: Rng, x: Images) -> Images:
        """A reference for each image, with replacement, from the image's own stream. In x's dtype and layout."""
        if self.images is None:
            self._load()
        self.images = self.images.to(x.device)  # moves once
        others = len(self.images) - 1
        own = torch.tensor([self.places.get(image, others) for image in rng.ids], device=x.device)
        k = rng.integers(others)
        k = k + (k >= own)  # pass over the image itself; who is not in the pool passes over its last image
        return torch.empty_like(x).copy_(self.images[k])

    def _load(self) -> None:
        broken: list[str] = []
        pool = list(islice(self._drawn(broken), self.n + 1))
        if len(pool) < 2:
            raise UserError("References are other images of the same source: it must have 2 that can be read, or more.")
        if broken:
            what = f"{plural(len(broken), 'image')} that would be references cannot be read, {broken[0]} for one"
            print(f"warning: {what}; others stand in, which makes other maps.", file=sys.stderr)
        self.images = torch.stack([sample.pixels for sample in pool])
        self.places = {sample.id: k for k, sample in enumerate(pool)}

    def _ids(self) -> Iterator[str]:
        """The source's images in random order. Every id has a lot of its own."""
        drawn = lots(self.seed, "references", self.source.ids)
        return (image for _, image in sorted(zip(drawn, self.source.ids, strict=True)))

    def _drawn(self, broken: list[str]) -> Iterator[Sample]:
        """Those of them that can be read; the others go to `broken`."""
        for image in self._ids():
            try:
                yield self.source.load(image)
            except ImageError:
                broken.append(image)
