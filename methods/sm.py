"""SM, the saliency map. Simonyan, Vedaldi & Zisserman, ICLR workshop 2014, https://arxiv.org/abs/1312.6034:

    A = | d p_t(x) / d x |        (`absolute`; without the bars in the tables that used the signed gradient)

Departures: the paper differentiates the logit and takes the largest channel; here, as in the released programs of LA and
AttEXplore, the probability, and each channel keeps its value.
Agrees with: captum `Saliency`. Cost: 1 forward, 1 backward pass.
"""

from torch import nn

from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import input_gradient, probability


def saliency_map(model: nn.Module, x: Images, target: Targets, rng: Rng, *, absolute: bool) -> Images:
    """The gradient of the target's probability, in 1 / units of x; `absolute`: its magnitude.  rng: ignored."""
    gradient = input_gradient(model, x, probability(target))
    return gradient.abs() if absolute else gradient
