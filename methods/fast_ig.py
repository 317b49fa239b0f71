"""Fast-IG, the X-gradient. Hesse, Schaub-Meyer & Roth, NeurIPS 2021, https://arxiv.org/abs/2111.07668:

    A = sign * x * d p_t(x) / d x

On a network whose output grows in proportion to its input (ReLU, no biases) the gradient is the same all along the ray
from black to x, and A is Integrated Gradients from black, at the cost of one point of it.
Departures: the paper differentiates the logit; here the probability, as every method does. The programs released with
LA and AttEXplore differentiate the cross-entropy of the softmaxed output instead, in effect -p_t, and so rank the least
supportive values first: sign = -1.
Agrees with: `integrated_gradients` where the theorem holds; captum `InputXGradient`. Cost: 1 forward, 1 backward pass.
"""

from typing import Literal

from torch import nn

from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import input_gradient, probability


def fast_integrated_gradients(
    model: nn.Module, x: Images, target: Targets, rng: Rng, *, sign: Literal[1, -1]
) -> Images:
    """Signed, in units of probability; no value of x, no attribution.

    sign: 1: what supports the target counts as positive; -1: as released.  rng: ignored, the method is deterministic.
    """
    return sign * x * input_gradient(model, x, probability(target))
