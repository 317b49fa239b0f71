"""BIG, Boundary-based Integrated Gradients. Wang, Fredrikson & Datta, ICML 2022,
https://arxiv.org/abs/2103.11257:

    A = (x - x*) * integral over a in [0, 1] of  d p_c(x* + a (x - x*)) / d x

where x* is adversarial: found by `steps` steps x*_{k+1} = clip01( x*_k - alpha * sign grad p_c(x*_k) ) from x*_0 = x.
`big`: x* is where all the steps lead, as in the released programs. `big_boundary`: an image's steps end at its first
x* that the network no longer sees as c, which is what the name promises. An image without one in all its steps has x*
where they lead, as in `big`; its row shows the passes of all of them. A misclassified image takes one step.
`big_as_published`: gradients pile up, as the program never resets them, so that step k goes along the sign of the
sum of grad p_c over x*_0 ... x*_k.
Departures from that program: of its seven attacks only the first ever counts, and no bound on the distance is reached
in 50 steps of 0.001; both are left out. Its loss is the cross-entropy of probabilities taken for logits, which at
1000 classes is - p_c up to 1 part in 1000; here it is - p_c. Its weights sum to 0.98, here to 1; that scales the map
and changes no ranking.
Agrees with: a slow rewrite, image by image, and captum `IntegratedGradients` from x*; completeness,
sum(A) = p_c(x) - p_c(x*).
Cost: 50 forward and backward passes to x* (`big_boundary`: T and 1 forward pass, see mfaba.py), 50 from there.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from bench.notes import note
from bench.passes import count_own
from bench.ranges import Between, Count, Reach
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import at, gradients, log_probability, per_image
from methods.parts.integral import straight_line
from methods.parts.paths import Journey, Slots, follow


def boundary_integrated_gradients(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    alpha: Reach,
    steps: Count,
    stop: bool,
    accumulate_grad: bool,
    points: Annotated[int, Between(2, 10_000)],
) -> Images:
    """p_c(x) - p_c(x*) shared out over the input values, signed, in units of probability.

    alpha: in units of x.  steps: of the attack, at most.  stop: at the first adversarial point.  accumulate_grad: add
    up the attack's gradients.  points: of the integral.  rng: draws nothing, the method is deterministic.
    """
    alone = count_own(rng.ids, len(x))
    how = {"alpha": alpha, "steps": steps, "stop": stop, "accumulate_grad": accumulate_grad}
    journey = attack(model, x, target, **how, own=alone)  # type: ignore[arg-type]
    attribution = straight_line(model, journey.end, x, target, alone, steps=points)
    note(forward_passes=journey.looks + points, backward_passes=journey.steps + points)
    return attribution


def attack(
    model: nn.Module,
    x: Images,
    target: Targets,
    *,
    alpha: float,
    steps: int,
    stop: bool,
    accumulate_grad: bool,
    own: int | None = None,
) -> Journey:
    """Ends at x*. What the steps leave on the way is the gradient, so that their sum is the pile.

    own: how many places hold an image of their own; None: all.
    """

    def descend(now: Slots) -> tuple[Images, Images, Tensor]:
        c = target[now.image]
        logits, (direction,) = gradients(model, now.point, [log_probability(c)])
        gradient = per_image(at(logits.softmax(dim=1), c)) * direction  # of p_c, without its underflow
        along = now.total + gradient if accumulate_grad else direction
        point = (now.point - alpha * along.sign()).clamp(0, 1)
        adversarial = (logits.argmax(dim=1) != c) & (now.taken > 0)
        return point, gradient, adversarial if stop else torch.zeros_like(adversarial)

    return follow(x, descend, runs=1, steps=steps, width=-(-len(x) // 4) if stop else len(x), own=own)
