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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import torch
from torch import nn

from bench.exact import exact
from bench.notes import note_passes
from bench.passes import count_own, side_by_side
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
    explained = {"probability": probability, "log_probability": log_probability}[objective]
    logits, (start,) = gradients(model, x, [explained(target)])  # all runs begin at x
    attribution, own = torch.zeros_like(x), count_own(rng.ids, len(x))
    explore = partial(_explore, model, steps=steps, clip=clip)

    if untargeted:
        for share in explore(Space(x, epsilon, start), None, explained(target), rule="untargeted"):
            attribution -= share
    if targeted:
        choose = {"random": random_classes, "runners_up": runners_up}[choice]
        chosen = choose(logits, target, rng, classes, n_classes)
        together = len(x) // own  # runs that one pass takes side by side, where images are few
        wide = partial(side_by_side, own=own, width=len(x))
        for group in (chosen[k : k + together] for k in range(0, len(chosen), together)):
            spaces = Space(*(wide([of] * len(group)) for of in (x, epsilon, start)))
            towards, about = log_probability(wide(group)), explained(wide([target] * len(group)))
            shares = explore(spaces, towards, about, rule=rule)
            for share in shares if len(group) == 1 else _in_turn(shares, len(group), own):
                attribution[: len(share)] -= share
        attribution = wide([attribution])
        of_start, of_run = 1 + (steps - 1) * untargeted, {"equation2": 2 * steps - 1, "algorithm1": steps}[rule]
        note_passes(x, of_start + len(chosen) * steps, of_start + len(chosen) * of_run)
    return attribution


@dataclass(frozen=True)
class Space:
    """Where a run of each image goes, [B, 3, H, W] each."""

    x: Images
    epsilon: Images  # of a step, value by value
    start: Images  # gradient of the objective at x


def _explore(
    model: nn.Module,
    space: Space,
    towards: Objective | None,
    explained: Objective,
    *,
    steps: int,
    clip: bool,
    rule: str,
) -> Iterator[Images]:
    """A run's shares, step by step, to be taken off the map: the rise of the objective that its gradient foretells."""
    x, point, gradient = space.x, space.x, space.start
    for k in range(steps):
        if rule == "equation2":
            asked = [towards] if k == 0 else [towards, explained]
            direction, *others = gradients(model, point, asked)[1]  # type: ignore[arg-type]
            gradient = others[0] if others else gradient
        elif rule == "algorithm1":
            (fresh,) = gradients(model, point, [towards])[1]  # type: ignore[list-item]
            direction = gradient = -fresh
        else:
            gradient = gradients(model, point, [explained])[1][0] if k else gradient
            direction = -gradient
        point = x + space.epsilon * direction.sign()
        point = point.clamp(0, 1) if clip else point
        yield gradient * (point - x)


def _in_turn(shares: Iterable[Images], runs: int, own: int) -> Iterator[Images]:
    """[own, 3, H, W] each: of runs side by side the shares of one after the other, as if each had been alone."""
    kept = list(shares)
    for k in range(runs):
        yield from (share[k * own : (k + 1) * own] for share in kept)


def random_classes(logits: Logits, target: Targets, rng: Rng, classes: list[int] | None, n: int) -> list[Targets]:
    """The same classes for every image, but where one is the image's own."""
    of = logits.shape[1]
    return [other_than(target, t, of) for t in explored_classes(rng, classes, n, of)]


def runners_up(logits: Logits, target: Targets, rng: Rng, classes: list[int] | None, n: int) -> list[Targets]:
    """Each image's n most probable classes but the target, in descending order (all of them, if there are no more)."""
    others = exact(logits.scatter(1, target[:, None], -torch.inf)).argsort(dim=1, descending=True, stable=True)
    return list(others[:, : min(n, logits.shape[1] - 1)].to(target.device).unbind(dim=1))
