"""DI, diverse input. Xie et al., CVPR 2019, https://arxiv.org/abs/1803.06978: if a coin says so, an image is resized to
a random size and put at a random place on a black canvas before a gradient is taken.

    seen = rows x columns^T        gradient at x = rows^T (gradient at seen) columns

Resizing (bilinear) and placing are linear and act on rows and columns apart, so each is a matrix. An image's own size
then needs no shape of its own, and the way back is a transpose, which rounds the same every time; the backward pass of
torch's `interpolate` on a GPU does not.
Agrees with: torch's `interpolate`, `pad` and, where the canvas is shrunk back, `interpolate` again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from bench.ranges import Between
from bench.rng import Rng
from bench.types import Images, Objective
from methods.parts.gradient import input_gradient

Rate = Annotated[float, Between(0.1, 4)]  # of the side


def diverse_gradient(
    model: nn.Module, x: Images, objective: Objective, rng: Rng, *, rate: float, probability: float, resize_back: bool
) -> Images:
    """d objective / d x through a random view of x, see `diverse`. One forward and one backward pass."""
    seen, back = diverse(x, rng, rate=rate, probability=probability, resize_back=resize_back)
    return back(input_gradient(model, seen, objective))


def diverse(
    x: Images, rng: Rng, *, rate: float, probability: float, resize_back: bool
) -> tuple[Tensor, Callable[[Tensor], Images]]:
    """A random view of x, [B, 3, side', side'], and what makes a gradient there, which it may write to, one at x.

    rate: of the side, the other end of the range of sizes, see `random_view`.  probability: of a view, not x itself.
    resize_back: the canvas is shrunk to the side of x again. Otherwise all images share one size, so one draw: then
    rng is `Rng.of_the_run()`.
    """
    if probability == 0:
        return x, lambda gradient: gradient
    view, coin = random_view(rng, x, rate=rate)
    shown = np.flatnonzero(np.broadcast_to(coin < probability, len(x)))  # the coin of a run is that of all
    if not len(shown):
        return x, lambda gradient: gradient
    rows, columns = view.of(shown).matrices(x, resize_back=resize_back)
    if rows.shape[2] != rows.shape[3]:  # all images have it
        return rows @ x @ columns.mT, lambda gradient: rows.mT @ gradient @ columns
    index = sent(torch.from_numpy(shown), x.device)
    seen = x.clone(memory_format=torch.contiguous_format)
    seen[index] = rows @ seen[index] @ columns.mT

    def back(gradient: Tensor) -> Images:
        gradient[index] = rows.mT @ gradient[index] @ columns
        return gradient

    return seen, back


@dataclass(frozen=True)
class View:
    """Of each image: its new side, and where it lies on the canvas. At hand, as it is decided before it is computed with."""

    places: np.ndarray  # [3, B], whole numbers: size, top, left
    canvas: int

    def of(self, images: np.ndarray) -> "View":
        """Of some of the images; the one view of a run is of them all."""
        return self if self.places.shape[1] == 1 else View(self.places[:, images], self.canvas)

    def matrices(self, x: Images, *, resize_back: bool) -> tuple[Tensor, Tensor]:
        """rows and columns, [B, 1, side', side]."""
        side, canvas = x.shape[3], self.canvas
        size, top, left = sent(torch.from_numpy(self.places).to(x.dtype), x.device)
        rows, columns = placed(size, top, side, canvas), placed(size, left, side, canvas)
        if resize_back and canvas != side:
            one = size[:1]
            back = placed(torch.full_like(one, side), torch.zeros_like(one), canvas, side)
            rows, columns = back @ rows, back @ columns
        return rows, columns


def random_view(rng: Rng, x: Images, *, rate: float) -> tuple[View, np.ndarray]:
    """A view of each image, and a coin in (0, 1), [B]. Four draws an image: size, top, left, coin.

    A side of 224 becomes one of 224 … 256 on a canvas of 257 at rate 1.15, one of 201 … 223 on a canvas of 224 at 0.9.
    """
    side = x.shape[3]
    smallest, canvas = sorted((side, int(side * rate)))
    draw = rng.uniform_at_hand(4).astype(np.float64)  # in float32 a product could round up to the end that is left out
    size = smallest + np.floor(draw[:, 0] * (canvas - smallest))
    top, left = np.floor(draw[:, 1:3].T * (canvas - size))
    return View(np.stack([size, top, left]), canvas), draw[:, 3]


def sent(values: Tensor, device: torch.device) -> Tensor:
    """On the device; a GPU is not waited for, as it might be if memory were not pinned."""
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def placed(size: Tensor, offset: Tensor, side: int, canvas: int) -> Tensor:
    """[B, 1, canvas, side]: a line of `side` pixels resized to `size`, linearly, and put on a canvas at `offset`."""
    pixel = torch.arange(canvas, dtype=size.dtype, device=size.device) - offset[:, None]  # [B, canvas]
    source = ((pixel + 0.5) * side / size[:, None] - 0.5).clamp(0, side - 1)
    near = torch.arange(side, dtype=size.dtype, device=size.device)
    weight = (source[:, :, None] - near).abs_().neg_().add_(1).relu_()
    inside = (pixel >= 0) & (pixel < size[:, None])
    return weight.mul_(inside[:, :, None])[:, None]
