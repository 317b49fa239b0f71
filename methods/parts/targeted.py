"""The paths of AGI and AII: for each of a few false classes t, steps that make t more probable.

    x_{k+1} = clip01( base + epsilon * sign grad log p_t(x_k) ),   base = x (`restart`) or x_k (`walk`)
    A       = sum over classes, sum over k < T of  grad g(x_k) * (x_{k+1} - base)

T is the first k at which argmax p(x_k) = t, at most `steps`; it may be 0. grad log p_t has the sign of grad p_t
without its underflow. The sum over classes is made in the order in which they are listed.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.notes import note
from bench.passes import count_own
from bench.rng import Rng
from bench.types import Images, Objective, Targets
from methods.parts.classes import explored_classes, other_than
from methods.parts.gradient import gradients, log_probability
from methods.parts.paths import Slots, follow


def targeted_paths(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    accumulated: Callable[[Targets], Objective],
    *,
    classes: list[int] | None,
    n_classes: int,
    epsilon: float,
    steps: int,
    base: str,
    stop: bool,
) -> Images:
    """The change of the objective `accumulated(target)` that its gradient foretells along the paths.

    classes: to walk towards; None: n_classes of them, drawn from the run's seed, for all such methods alike.
    epsilon: in units of x.  stop: False walks on when t is reached.
    """
    with torch.no_grad():
        n = model(x).shape[1]
    listed = explored_classes(rng.named("agi"), classes, n_classes, n)
    wanted = torch.stack([other_than(target, t, n) for t in listed])  # [runs, B]

    def step(now: Slots) -> tuple[Images, Images, Tensor]:
        t = wanted[now.run, now.image]
        objectives = [log_probability(t), accumulated(target[now.image])]
        logits, (direction, gradient) = gradients(model, now.point, objectives)
        start = {"restart": now.origin, "walk": now.point}[base]
        point = (start + epsilon * direction.sign()).clamp(0, 1)
        arrived = logits.argmax(dim=1) == t
        return point, gradient * (point - start), arrived if stop else torch.zeros_like(arrived)

    journey = follow(x, step, runs=len(listed), steps=steps, width=len(x), own=count_own(rng.ids, len(x)))
    note(forward_passes=1 + journey.looks, backward_passes=2 * journey.steps)
    return journey.total
