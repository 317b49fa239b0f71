"""Ten shapes on textured grounds, drawn by formula: images with labels and masks that need no download.

A scene is made of functions of the plane, [-1, 1] on either axis: a ground (colour, slope, clouds, stripes), loose ends
strewn over it (sticks and dots, which belong to no class), and one shape of its own colour and texture, anywhere, at
any angle and of varying size. Sizes are fractions of the image, so every resolution shows the same kind of scene.
"""

import hashlib
import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.errors import UserError
from bench.images.preprocessing import Preprocessing
from bench.images.source import Sample
from bench.ranges import Between, Seed
from bench.rng import Rng

VERSION = 1  # of the drawings: raise it when a change of code changes a pixel
CLASSES = ("disk", "ring", "square", "triangle", "plus", "star", "crescent", "heart", "bar", "hourglass")


class Synthetic:
    """Image i is a function of (seed, i, size), its class i modulo 10, so that any first n are balanced."""

    def __init__(self, n: Annotated[int, Between(1, 1_000_000)], seed: Seed, preprocessing: Preprocessing):
        if preprocessing.size < 32:
            raise UserError(f"data=synthetic draws images of 32 pixels and more; the model takes {preprocessing.size}")
        self.ids = [f"synthetic-{i:05d}" for i in range(n)]
        self.index = {id: i for i, id in enumerate(self.ids)}
        self.seed, self.size, self.classes, self.collection = seed, preprocessing.size, len(CLASSES), None

    def fingerprint(self, id: str) -> str:
        recipe = f"synthetic/{VERSION}/{self.seed}/{self.index[id]}/{self.size}"
        return hashlib.sha256(recipe.encode()).hexdigest()

    def label(self, id: str) -> int:
        return self.index[id] % len(CLASSES)

    def stamp(self, id: str) -> None:
        return None

    def load(self, id: str) -> Sample:
        pixels, label, mask = draw(self.seed, self.index[id], self.size)
        return Sample(id, pixels, self.fingerprint(id), label, mask)


def draw(seed: int, index: int, size: int) -> tuple[Tensor, int, Tensor]:
    """float32 [3, size, size] in whole 255ths, the class, bool [size, size]: the shape's pixels."""
    rng = Rng(seed, f"synthetic/{VERSION}", [str(index)])
    x, y = plane(size)
    label = index % len(CLASSES)

    ground_colour, shape_colour = colours(rng)
    image = textured(rng, ground_colour, x, y)
    for cover, colour in loose_ends(rng, x, y):
        image = torch.lerp(image, colour, cover)

    radius, angle, across, along, stretch = rng.uniform(5)[0].tolist()
    radius = 0.27 + 0.28 * radius
    reach = 0.96 - radius
    u, v = turned(x - reach * (2 * across - 1), y - reach * (2 * along - 1), 2 * math.pi * angle)
    stretch = 0.9 + 0.2 * stretch
    distance = SHAPES[label](u / radius / stretch, v / radius * stretch) * radius
    cover = (0.5 - distance * size / 2).clamp(0, 1)  # [size, size], the part of a pixel inside the shape
    image = torch.lerp(image, textured(rng, shape_colour, u, v), cover)

    image = image + 0.08 * (rng.uniform(size, size) - 0.5)  # grain, grey
    return (image.clamp(0, 1) * 255).round() / 255, label, cover > 0.5


def plane(size: int) -> tuple[Tensor, Tensor]:
    """x and y of the pixels' centres, [size, size] each."""
    centres = (torch.arange(size) + 0.5) * (2 / size) - 1
    return centres.expand(size, size), centres[:, None].expand(size, size)


def turned(x: Tensor, y: Tensor, angle: float) -> tuple[Tensor, Tensor]:
    return math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x


def colours(rng: Rng) -> tuple[Tensor, Tensor]:
    """The ground's and the shape's, [3, 1, 1] each: of eight, the first that stands off, else the farthest."""
    ground, *candidates = (0.1 + 0.8 * rng.uniform(9, 3, 1, 1)[0]).unbind()
    gaps = [(colour - ground).norm().item() for colour in candidates]
    k = next((k for k, gap in enumerate(gaps) if gap > 0.4), gaps.index(max(gaps)))
    return ground, candidates[k]


def textured(rng: Rng, colour: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """[3, H, W]: the colour with a slope, clouds and stripes of random strength."""
    numbers = rng.uniform(62)[0]
    slant, angle, period, phase, *strength = numbers[:7].tolist()
    tint = numbers[7:13].view(2, 3, 1, 1) - 0.5  # of the slope and of the stripes
    clouds = F.interpolate(numbers[13:].view(1, 1, 7, 7), size=x.shape, mode="bicubic", align_corners=False)[0] - 0.5
    slope = turned(x, y, 2 * math.pi * slant)[0]
    across = turned(x, y, 2 * math.pi * angle)[0]
    stripes = torch.sin(across * (8 + 22 * period) + 2 * math.pi * phase)
    image = colour + 0.4 * strength[0] * tint[0] * slope
    return image + 0.45 * strength[1] * clouds + 0.4 * strength[2] * tint[1] * stripes


def loose_ends(rng: Rng, x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Sticks and dots, as (cover [H, W], colour [3, 1, 1]). Far thinner and smaller than any shape."""
    pixels = len(x) / 2  # a unit of the plane
    numbers = rng.uniform(8, 6)[0]
    ends = []
    for k, (across, along, angle, length, thickness, there) in enumerate(numbers.tolist()):
        if there < 0.4:
            continue
        u, v = turned(x - (2 * across - 1), y - (2 * along - 1), math.pi * angle)
        length = 0.1 + 0.3 * length if k % 2 else 0.0
        distance = torch.hypot((u.abs() - length).clamp(min=0), v) - (0.02 + 0.03 * thickness)
        ends.append(((0.5 - distance * pixels).clamp(0, 1), numbers[k, [0, 3, 5], None, None]))
    return ends


def box(u: Tensor, v: Tensor, width: float, height: float) -> Tensor:
    return torch.maximum(u.abs() - width, v.abs() - height)


def triangle(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(v, u.abs() * math.sqrt(0.75) - v / 2) - 0.47


def star(u: Tensor, v: Tensor) -> Tensor:
    """Five points. One half of one point, folded round: below the line from its tip to the notch beside it."""
    half = math.pi / 5
    angle = (torch.atan2(v, u).remainder(2 * half) - half).abs()  # 0 at a notch, `half` at a tip
    distance = torch.hypot(u, v)
    a, b = distance * torch.cos(half - angle), distance * torch.sin(half - angle)  # the tip is at (1, 0)
    across, along = 0.42 * math.sin(half), 1 - 0.42 * math.cos(half)
    return (across * (a - 1) + along * b) / math.hypot(across, along)


def heart(u: Tensor, v: Tensor) -> Tensor:
    """A square and a disk on each of two sides."""
    u, v, a = u + 0.22, v + 0.22, 0.48
    left, right = torch.hypot(u - a, v) - a, torch.hypot(u, v - a) - a
    return torch.minimum(box(u, v, a, a), torch.minimum(left, right))


SHAPES = (  # distance to the edge, negative inside, about right near it; every shape fills most of the unit circle
    lambda u, v: torch.hypot(u, v) - 0.85,
    lambda u, v: (torch.hypot(u, v) - 0.7).abs() - 0.22,
    lambda u, v: box(u, v, 0.68, 0.68),
    triangle,
    lambda u, v: torch.minimum(box(u, v, 0.92, 0.27), box(u, v, 0.27, 0.92)),
    star,
    lambda u, v: torch.maximum(torch.hypot(u, v) - 0.92, 0.75 - torch.hypot(u - 0.45, v)),
    heart,
    lambda u, v: box(u, v, 0.98, 0.29),
    lambda u, v: torch.maximum(u.abs() - 0.8, (v.abs() - 0.06 - 0.85 * u.abs()) / math.hypot(1, 0.85)),
)
