"""Walks along the signs of a gradient, in a box around the image, and what they add up: AttEXplore and its variants.

    G_k     = decay * G_{k-1} + shape(g_k)                            g_k: some gradient of p_t near x_k
    x_{k+1} = clip01( x + clip( x_k ± alpha sign G_k - x, ± eps ) )   alpha = eps / steps
    A       = ± sum over k of  (x_{k+1} - x_k) * G_k                  + towards the label, - away from it

shape: sum up all gradients so far (`accumulate_grad`), blur, divide by the mean magnitude, each if asked for. A walk
from x itself is a sum of alpha |G_k|: never negative.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor

from bench.errors import UserError
from bench.ranges import Between
from bench.types import Images
from methods.parts.gradient import per_image

Direction = Literal["towards_label", "away"]
BlurWidth = Annotated[int, Between(0, 1001)]  # pixels; an even width is the next odd one
BlurStd = Annotated[float, Between(0, 1000)]  # pixels
Decay = Annotated[float, Between(0, 10)]
SENSE = {"towards_label": 1, "away": -1}


def sign_walk(
    x: Images,
    gradient_near: Callable[[Images, Images], Images],
    *,
    start: Images,
    first: Images,
    steps: int,
    epsilon: float,
    direction: str,
    accumulate_grad: bool,
    blur: int,
    blur_std: float,
    normalise: bool,
    decay: float,
) -> Images:
    """A, signed, in units of G.

    gradient_near: g_k from x_k and G_{k-1}.  start: x_0.  first: where the first displacement is measured from.
    epsilon: grey levels, of 255.  direction: `towards_label` or `away`.  blur: width of the kernel in pixels; 0: none.
    """
    sense, bound = SENSE[direction], epsilon / 255
    point, left = start, first
    gradient = momentum = attribution = torch.zeros_like(x)
    for _ in range(steps):
        fresh = gradient_near(point, momentum)
        gradient = gradient + fresh if accumulate_grad else fresh
        shaped = blurred(gradient, blur, blur_std) if blur else gradient
        momentum = decay * momentum + (normalised(shaped) if normalise else shaped)
        away_from_x = (point + sense * bound / steps * momentum.sign() - x).clamp(-bound, bound)
        point = (x + away_from_x).clamp(0, 1)
        attribution = attribution + sense * (point - left) * momentum
        left = point
    return attribution


def normalised(gradient: Images) -> Images:
    """Each image's gradient over its own mean magnitude; a gradient that is zero everywhere stays zero."""
    magnitude = gradient.abs().flatten(1).mean(dim=1)
    return gradient / per_image(magnitude.clamp_min(torch.finfo(gradient.dtype).tiny))


def blurred(images: Images, width: int, std: float) -> Images:
    """A Gaussian, `width` by `width` pixels, zeros beyond the edge: one matrix from the left, one from the right."""
    if std <= 0:
        raise UserError(f"method.blur_std={std}: expected a number above 0, since method.blur={width} asks for a blur.")
    rows, columns = (gaussian_band(n, width, std, images) for n in images.shape[2:])
    return rows @ images @ columns


def gaussian_band(n: int, width: int, std: float, like: Tensor) -> Tensor:
    """[1, 1, n, n]: row i weighs the pixels around i, by the normal density at whole pixels, scaled to sum to 1."""
    pixel = torch.arange(n, dtype=like.dtype, device=like.device)
    distance = (pixel[:, None] - pixel).abs()
    reach = torch.arange(-(width // 2), width // 2 + 1, dtype=like.dtype, device=like.device)
    total = (-(reach**2) / (2 * std**2)).exp().sum()
    return ((-(distance**2) / (2 * std**2)).exp() * (distance <= width // 2) / total)[None, None]
