"""AttEXplore. Zhu et al., ICLR 2024, https://github.com/LMBTough/ATTEXPLORE, Eq. 4 to 6 as released: a walk towards the
label (methods/sign_walk.py) along gradients averaged over copies whose spectrum is perturbed,

    copy = IDCT( DCT(x_k + sigma n) * m ),    n ~ N(0, 1),    m ~ U(1 - rho, 1 + rho) for each coefficient
    g_k  = mean over copies of  d p_t(view(copy)) / d copy
    G_k  = decay * G_{k-1} + blur(g_k) / mean |blur(g_k)|
    A    = sum over k of  (x_{k+1} - x_k) * G_k

view: diverse input (methods/diverse_input.py). The gradient is that at the copy, not taken through mask and noise.
Departures from the paper, all as in the released code: it walks up p_t (AX-1; Eq. 5 walks down, `direction: away`), the
mask is uniform, and momentum, blur, DI and the division by the mean are not in the equations; `attexplore_paper` goes
without them. Departures from that code: p_t, not the cross-entropy of stacked softmaxes, in effect the same; noise,
masks and views are drawn for each image, not once for a batch. Where images keep the size of the canvas
(`resize_back: false`) a view is drawn once for all images of the run, so that they still fit into a batch.
Agrees with: SciPy's `dctn` and `idctn`; a slow rewrite, image by image, with torch's `interpolate` and `pad`.
Cost: steps * copies forward and backward passes; 200 as released.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.exact import exact_device
from bench.notes import note_passes
from bench.passes import count_own
from bench.ranges import Between, Count, GreyLevels, Share
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.diverse_input import Rate, diverse
from methods.parts.gradient import probability_gradients
from methods.parts.sign_walk import BlurStd, BlurWidth, Decay, Direction, sign_walk


def attexplore(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    copies: Count,
    steps: Count,
    epsilon: GreyLevels,
    direction: Direction,
    sigma: Annotated[float, Between(0, 255)],
    rho: Annotated[float, Between(0, 100)],
    mask: Literal["uniform", "gaussian"],
    diverse_rate: Rate,
    diverse_probability: Share,
    resize_back: bool,
    blur: BlurWidth,
    blur_std: BlurStd,
    normalise: bool,
    decay: Decay,
) -> Images:
    """Never negative, in units of G.

    epsilon, sigma: grey levels, of 255.  rho: half width (`mask: uniform`) or standard deviation (`gaussian`) around 1.
    """
    rows, columns = (dct_matrix(n, x)[0, 0] for n in x.shape[2:])
    views = rng if resize_back else rng.of_the_run()

    def copied(point: Images) -> Images:
        noisy = rng.normal(*x.shape[1:]).to(x.dtype).mul_(sigma / 255).add_(point)
        spectrum = functional.linear(rows @ noisy, columns).mul_(spectrum_mask(mask, rho, rng, x))
        return functional.linear(rows.mT @ spectrum, columns.mT)

    def gradient_near(point: Images, momentum: Images) -> Images:
        total, point = torch.zeros_like(x), point.contiguous()
        backs: deque[Callable[[Tensor], Images]] = deque()  # of the views whose gradients are still to come

        def seen() -> Iterator[Tensor]:
            for _ in range(copies):
                view, back = diverse(
                    copied(point), views, rate=diverse_rate, probability=diverse_probability, resize_back=resize_back
                )
                backs.append(back)
                yield view

        for gradient in probability_gradients(model, seen(), target, count_own(rng.ids, len(x))):
            total += backs.popleft()(gradient)
        return total / copies

    attribution = sign_walk(
        x,
        gradient_near,
        start=x,
        first=x,
        steps=steps,
        epsilon=epsilon,
        direction=direction,
        accumulate_grad=False,
        blur=blur,
        blur_std=blur_std,
        normalise=normalise,
        decay=decay,
    )
    note_passes(x, steps * copies, steps * copies)
    return attribution


def spectrum_mask(kind: str, rho: float, rng: Rng, x: Images) -> Images:
    """One factor around 1 for each coefficient."""
    noise = {"uniform": lambda *shape: rng.uniform(*shape).mul_(2).sub_(1), "gaussian": rng.normal}[kind]
    return noise(*x.shape[1:]).to(x.dtype).mul_(rho).add_(1)


def dct_matrix(n: int, like: Tensor) -> Tensor:
    """[1, 1, n, n], the orthonormal DCT-II of n values; its transpose is the inverse."""
    index = torch.arange(n, dtype=torch.float64, device=exact_device(like.device))
    waves = (math.pi / n * (index + 0.5) * index[:, None]).cos() * (2 / n) ** 0.5
    waves[0] *= 0.5**0.5
    return waves.to(like.dtype).to(like.device)[None, None]
