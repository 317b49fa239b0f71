"""LA, Local Attribution. Zhu, Jin, Zhang & Chen, ACM MM 2024, https://arxiv.org/abs/2408.07736, Eq. 2, 6, 7:

    x_{k+1} = x + step * eps * sign d_k,   eps = x / s          (every step starts from the clean image x again)
    A       = - sum over runs, sum over k < N of  grad f_c(x_k) * (x_{k+1} - x)

One untargeted run, d_k = -grad f_c(x_k), and one targeted run for each explored class t, d_k = grad log p_t(x_k), whose
sign is that of grad p_t without its underflow.
`la`, as released: f = p, step = 1, random classes, points clipped to [0, 1]. `la_paper`: f = log p, that is, the loss is
cross-entropy; step = 1/2; the s classes that come next in the network's own order; nothing is clipped.
`la_algorithm1`, the listing read literally: targeted runs step away from t and subtract t's own gradient,

    x_{k+1} = x - step * eps * sign g_k,   A = A + g_k * (x_{k+1} - x),   g_k = grad log p_t(x_k),

so that A = step * eps * (sum |g of c| - sum over t of |g of t|). It contradicts Eq. 2 and 7, and cannot be what made the
paper's tables.
Departure of `la` from the released code: sums are per image (there an image's gradient mixed in every class present in
its batch, so there is no `la_as_published`: its maps would depend on batch mates), and the classes are drawn once per
run, not per batch.
Agrees with: slow rewrites of all three, image by image.
Cost: with R targeted runs, N (R + 1) forward and N + R (2 N - 1) backward passes: `la` 400 and 761, `la_paper` 420
and 800; `la_algorithm1` 420 and 420.
"""

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from bench.exact import exact
from bench.ranges import Between, Classes, Count, Drawn
from bench.rng import Rng
from bench.types import Images, Logits, Objective, Targets
from methods.parts.classes import explored_classes, other_than
from methods.parts.gradient import gradients, log_probability, probability


def local_attribution(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    choice: Literal["random", "runners_up"],
    classes: Classes | None,
    n_classes: Drawn,
    steps: Count,
    spatial_range: Annotated[float, Between(0, 10_000, above=True)],
    space: Literal["linear", "constant"],
    step: Annotated[float, Between(0, 100, above=True)],
    clip: bool,
    objective: Literal["probability", "log_probability"],
    attack: Literal["targeted", "untargeted", "both"],
    rule: Literal["equation2", "algorithm1"],
) -> Images:
    """Signed, in units of the objective; the untargeted run's part is never negative.

    choice: of the targeted runs' classes: `random`, or `runners_up`, the most probable ones but the target.
    classes: instead of random ones; None: n_classes of them, drawn from the run's seed.  steps: N of each run.
    spatial_range: s.  space: `linear` (eps = x / s) or `constant` (eps = 1 / s everywhere).  step: in units of eps.
    clip: points to [0, 1].  objective: f, `probability` or `log_probability`.
    attack: `targeted`, `untargeted` or `both`.  rule: of the targeted runs, `equation2` or `algorithm1`.
    """
    epsilon = step * {"linear": x / spatial_range, "constant": torch.full_like(x, 1 / spatial_range)}[space]
    untargeted, targeted = {"untargeted": (True, False), "targeted": (False, True), "both": (True, True)}[attack]
    explained = {"probability": probability, "log_probability": log_probability}[objective](target)
    logits, (start,) = gradients(model, x, [explained])  # all runs begin at x
    attribution = torch.zeros_like(x)

    def explore(direction: Tensor, gradient: Tensor) -> Tensor:
        """Where the step leads. Its share of the map is the fall of the objective that the gradient foretells."""
        point = x + epsilon * direction.sign()
        point = point.clamp(0, 1) if clip else point
        attribution.sub_(gradient * (point - x))
        return point

    def equation2(towards: Objective) -> None:
        _, (direction,) = gradients(model, x, [towards])
        point = explore(direction, start)
        for _ in range(steps - 1):
            _, (direction, gradient) = gradients(model, point, [towards, explained])
            point = explore(direction, gradient)

    def algorithm1(towards: Objective) -> None:
        point = x
        for _ in range(steps):
            _, (gradient,) = gradients(model, point, [towards])
            point = explore(-gradient, -gradient)

    if untargeted:
        point = explore(-start, start)
        for _ in range(steps - 1):
            _, (gradient,) = gradients(model, point, [explained])
            point = explore(-gradient, gradient)
    if targeted:
        run = {"equation2": equation2, "algorithm1": algorithm1}[rule]
        chosen = {"random": random_classes, "runners_up": runners_up}[choice](logits, target, rng, classes, n_classes)
        for t in chosen:
            run(log_probability(t))
    return attribution


def random_classes(logits: Logits, target: Targets, rng: Rng, classes: list[int] | None, n: int) -> list[Targets]:
    """The same classes for every image, but where one is the image's own."""
    of = logits.shape[1]
    return [other_than(target, t, of) for t in explored_classes(rng, classes, n, of)]


def runners_up(logits: Logits, target: Targets, rng: Rng, classes: list[int] | None, n: int) -> list[Targets]:
    """Each image's n most probable classes but the target, in descending order (all of them, if there are no more)."""
    others = exact(logits.scatter(1, target[:, None], -torch.inf)).argsort(dim=1, descending=True, stable=True)
    return list(others[:, : min(n, logits.shape[1] - 1)].to(target.device).unbind(dim=1))
