"""AII. "Unbiased Attribution with Intrinsic Information", an anonymous submission:

    S(x)    = sum over all classes j of  log p_j(x)         KL(uniform || p) = - S / C - log C
    x_{k+1} = clip01( base + epsilon * sign grad log p_t(x_k) )
    A       = sign * sum over classes t, sum over k < T of  grad S(x_k) * (x_{k+1} - base)

No class is explained: what is accumulated is how undecided the network becomes. Eq. 4 and Algorithm 1 disagree.
`aii`: Eq. 4's sign (+, a value that raises S when it moves is important) along the path of AGI, which the paper says
it follows: base = x, epsilon = 0.05, until argmax p(x_k) = t. `aii_algorithm1`: the printed sign (-, there is a plus
before the sign of the gradient of a loss that falls), base = x_k, epsilon = one grey level, no stop. Only the first
gave the order AII > AGI of the paper's tables when both were measured; the paper's step, its classes and its stop are
not stated.
Departures: Algorithm 1 prints no clip01. No code by the authors was at hand.
Agrees with: a slow rewrite, image by image, class by class.
Cost: as AGI, at most 401 forward and 800 backward passes.
"""

from typing import Literal

from torch import nn

from bench.ranges import Classes, Count, Drawn, Reach
from bench.rng import Rng
from bench.types import Images, Logits, Objective, PerImage, Targets
from methods.parts.targeted import targeted_paths


def intrinsic_information(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    classes: Classes | None,
    n_classes: Drawn,
    epsilon: Reach,
    steps: Count,
    base: Literal["restart", "walk"],
    stop: bool,
    sign: Literal[1, -1],
) -> Images:
    """Signed, in nats: the change of S on the ways to the false classes.  target: only says which classes are false.

    classes, n_classes: where to, and how many to draw if that is None.  epsilon: in units of x.  steps: at most, a
    class.
    base: `restart` from x at every step, or `walk` on.  stop: at t.  sign: 1 (Eq. 4) or -1 (Algorithm 1).
    """
    gain = targeted_paths(
        model,
        x,
        target,
        rng,
        accumulated=undecidedness,
        classes=classes,
        n_classes=n_classes,
        epsilon=epsilon,
        steps=steps,
        base=base,
        stop=stop,
    )
    return sign * gain


def undecidedness(target: Targets) -> Objective:
    """S, the same for every target: highest, at - C log C, when all classes are equally probable."""

    def total_log_probability(logits: Logits) -> PerImage:
        return logits.log_softmax(dim=1).sum(dim=1)

    return total_log_probability
