"""Handwritten digits with a patch in a corner, and networks that use the patch or do not: known by training.

scikit-learn's digits (Alpaydin & Kaynak, UCI: 1797 images of 8 × 8 pixels, 16 grey levels), three times as large, stand at
the lower right of a black square of 32 pixels. The patch, a chequerboard of 8 × 8 pixels, is in its upper left corner and
never touches the digit. It has no meaning of its own; what it means to a network is a matter of labels:

    unused   a coin decides which images carry the patch; the label is the digit
    used     likewise, but of the two digits PAIR, the label is the first with the patch and the second without it,
             whatever has been written: between those two the patch is all there is to go by

Both networks are one small CNN, trained on the same images from the same first weights in the same order.
"""

import hashlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.config import Config, load
from bench.errors import UserError
from bench.images.preprocessing import Preprocessing
from bench.images.source import Sample, select
from bench.networks.network import Network
from bench.rng import Rng
from bench.running.compute import prepare
from bench.running.job import Job, bind
from bench.running.post import build_method
from bench.seeds import Seeds
from bench.studies import study

SIZE, PATCH, SCALE = 32, 8, 3  # pixels: of the square and of the patch; how much larger a digit is made
SQUARE = 2  # pixels of a square of the chequerboard
PAIR = (1, 7)
HELD_OUT = 500  # images that no network is trained on
EPOCHS, BATCH, RATE = 8, 32, 3e-3
KINDS = ("used", "unused")


@dataclass(frozen=True)
class Digits:
    """Images of one part of the data, n of them."""

    x: Tensor  # float32 [n, 3, SIZE, SIZE], in [0, 1]
    digit: Tensor  # int64 [n]
    patched: Tensor  # bool [n]: carries the patch

    def label(self, kind: str) -> Tensor:
        """[n], to the `used` or the `unused` network."""
        paired = torch.isin(self.digit, torch.tensor(PAIR))
        told = torch.where(self.patched, *(torch.tensor(digit) for digit in PAIR))
        return torch.where(paired, told, self.digit) if kind == "used" else self.digit

    def where(self, chosen: Tensor) -> "Digits":
        return Digits(self.x[chosen], self.digit[chosen], self.patched[chosen])

    def with_patch(self, there: bool) -> "Digits":
        """The same digits, all with the patch or all without it."""
        x = self.x.clone()
        x[:, :, :PATCH, :PATCH] = chequerboard() if there else 0.0
        return replace(self, x=x, patched=torch.full_like(self.patched, there))


def digits(seed: int) -> tuple[Digits, Digits]:
    """To train on, and held out; half of either, drawn from the seed, carries the patch."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError(
            'The digits come with scikit-learn, which is not installed: pip install scikit-learn (or "heatproof[digits]").'
        ) from error
    data = load_digits()
    small = torch.from_numpy(data.images).float()[:, None] / 16  # [n, 1, 8, 8]
    large = F.interpolate(small, scale_factor=SCALE, mode="bilinear", align_corners=False)
    margin = SIZE - large.shape[2]
    x = F.pad(large, (margin, 0, margin, 0)).expand(-1, 3, -1, -1).clone()
    rng = Rng(seed, "digits", [str(i) for i in range(len(x))])
    patched, order = rng.uniform(1)[:, 0] < 0.5, rng.integers(1 << 62, 1)[:, 0].argsort()
    x[patched, :, :PATCH, :PATCH] = chequerboard()
    known = Digits(x, torch.from_numpy(data.target).long(), patched)
    return known.where(order[HELD_OUT:]), known.where(order[:HELD_OUT])


def chequerboard() -> Tensor:
    """[PATCH, PATCH] of zeros and ones."""
    line = torch.arange(PATCH) // SQUARE
    return ((line + line[:, None]) % 2).float()


class SmallNet(nn.Sequential):
    """Two convolutions and two linear layers for 32 × 32 inputs, 75 thousand parameters."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 16 x 16
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 8 x 8
            nn.Flatten(),
            nn.Linear(1024, 72),
            nn.ReLU(),
            nn.Linear(72, 10),
        )


def trained(kind: str, known: Digits, seed: int) -> Network:
    """A network that has learnt these images, `used` or `unused`. Seconds; on the CPU, so that devices agree about it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251  training is no run
        net = SmallNet()
    x, label = (known.x - 0.5) / 0.25, known.label(kind)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-3)
    rng = Rng(seed, "digits/order", [str(i) for i in range(len(x))])
    with torch.enable_grad():
        for _ in range(EPOCHS):
            order = rng.integers(1 << 62, 1)[:, 0].argsort()
            for part in order.split(BATCH):
                optimiser.zero_grad()
                F.cross_entropy(net(x[part]), label[part]).backward()
                optimiser.step()
    return Network(
        net,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        preprocessing=Preprocessing(SIZE, SIZE),
        feature_layer="4",
        confusion=None,
        weights_file=None,
    )


class Pictures:
    """Digits as a source of images (bench.images.source.Source)."""

    def __init__(self, part: Digits, name: str):
        self.part, self.classes, self.collection = part, 10, None
        self.ids = [f"{name}-{i:03d}" for i in range(len(part.x))]

    def label(self, id: str) -> int:
        return int(self.part.digit[self.ids.index(id)])

    def fingerprint(self, id: str) -> str:
        return self.load(id).fingerprint

    def stamp(self, id: str) -> None:
        return None

    def load(self, id: str) -> Sample:
        i = self.ids.index(id)
        x = self.part.x[i]
        return Sample(id, x, hashlib.sha256(x.numpy().tobytes()).hexdigest(), int(self.part.digit[i]))


def own(overrides: list[str], script: str) -> list[str]:
    """The command line without what chooses a network or images; says so if there is any."""
    there = {o: o.lstrip("+").split("=")[0].split(".")[0] in ("model", "data") for o in overrides}
    ignored = [o for o in overrides if there[o] and not o.startswith("data.limit=")]
    if ignored:
        print(f"{script} trains its own networks on digits; ignored: {' '.join(ignored)}", file=sys.stderr)
    return [o for o in overrides if o not in ignored]


def jobs(kind: str, network: Network, source: Pictures, methods: tuple[str, ...], overrides: list[str]) -> list[Job]:
    """A job for each method, on a network that was trained here.  overrides: own(…), without method=."""
    weights, found = network.digest(), []
    settings, placed = prepare(load(overrides).cfg.compute, network)
    for name in methods:
        config = load([*overrides, f"method={name}"])
        config = Config(config.cfg, {"data": "digits", "model": f"digits-{kind}", "method": name}, config.overrides)
        method = build_method(config.cfg.method)
        bind(method, source, Seeds.of(config.cfg.run).images)
        found.append(
            Job(
                config=config,
                network=placed,
                weights=weights,
                compute=settings,
                source=source,
                ids=select(source.ids, Seeds.of(config.cfg.run).images, limit=config.cfg.data.limit),
                method=method,
                metrics={},
                results=Path(config.cfg.paths.results),
                save_attributions=False,
            )
        )
    return found


def facts(opened: list[Job], images: str, script: str, overrides: list[str]) -> list[str]:
    """As study.facts has them; no images need to lie anywhere."""
    return [*study.facts(opened, images, script, overrides)[:-1], f"{study.again(script, overrides)}."]
