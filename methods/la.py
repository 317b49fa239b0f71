"""LA, Local Attribution. Zhu, Jin, Zhang & Chen, ACM MM 2024, https://arxiv.org/abs/2408.07736, Eq. 2, 6, 7 as released:

    x_{k+1} = clip01( x + eps * sign d_k ),   eps = x / s          (every step starts from the clean image x again)
    A       = - sum over runs, sum over k < N of  grad p_c(x_k) * (x_{k+1} - x)

One untargeted run, d_k = -grad p_c(x_k), and one targeted run for each explored class t, d_k = grad log p_t(x_k), whose
sign is that of grad p_t without its underflow.
Departures from the paper (LA-1 … LA-8): p instead of cross-entropy, eps instead of eps / 2, random classes instead of the
runners-up; all as in the released code. Departure from that code: sums are per image (there an image's gradient mixed in
every class present in its batch), and the classes are drawn once per run, not per batch.
Agrees with: a slow rewrite, image by image. Cost with N = 20 and 19 classes: 400 forward, 761 backward passes.
"""

import torch
from torch import nn

from bench.rng import Rng
from bench.types import Images, Targets
from methods.classes import explored_classes, other_than
from methods.gradient import gradients, log_probability, probability


def local_attribution(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    classes: list[int] | None,
    n_classes: int,
    steps: int,
    spatial_range: float,
    space: str,
    attack: str,
) -> Images:
    """Signed, in units of probability; the untargeted run's part is never negative.

    classes: explored by the targeted runs; None: n_classes of them, drawn from the run's seed.  steps: N of each run.
    spatial_range: s.  space: `linear` (eps = x / s) or `constant` (eps = 1 / s everywhere).
    attack: `targeted`, `untargeted` or `both`.
    """
    epsilon = x / spatial_range if space == "linear" else torch.full_like(x, 1 / spatial_range)
    explained = probability(target)
    logits, (start,) = gradients(model, x, [explained])  # all runs begin at x
    attribution = torch.zeros_like(x)

    def explore(direction: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Where the step leads. Its share of the map is the fall of p_c that the gradient foretells."""
        point = (x + epsilon * direction.sign()).clamp(0, 1)
        attribution.sub_(gradient * (point - x))
        return point

    if attack in ("untargeted", "both"):
        point = explore(-start, start)
        for _ in range(steps - 1):
            _, (gradient,) = gradients(model, point, [explained])
            point = explore(-gradient, gradient)

    if attack in ("targeted", "both"):
        for t in explored_classes(rng, classes, n_classes, logits.shape[1]):
            towards = log_probability(other_than(target, t, logits.shape[1]))
            _, (direction,) = gradients(model, x, [towards])
            point = explore(direction, start)
            for _ in range(steps - 1):
                _, (direction, gradient) = gradients(model, point, [towards, explained])
                point = explore(direction, gradient)
    return attribution
