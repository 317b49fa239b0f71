"""AGI, Adversarial Gradient Integration. Pan, Li & Zhu, IJCAI 2021, https://arxiv.org/abs/2105.13036. As released:

    x_{k+1} = clip01( x + epsilon * sign grad log p_t(x_k) ),   for each class t until argmax p(x_k) = t
    A       = - sum over classes t, sum over k < T of  grad p_c(x_k) * (x_{k+1} - x)

The paper's paths walk on from x_k; the released code starts every step from the clean image again and multiplies with
the displacement from there, and so do these. AttEXplore's account of AGI (its Eq. 2) has the false class in both
factors; AGI and its code accumulate the gradient of the true one.
Departures from the released code: its two sums over the batch, which mix into an image's map the classes of its batch
mates, and its removal of list elements while iterating, which gives some images a step too many, are left out, since
what they add depends on who is in the batch; so there is no `agi_as_published`. The released list of classes was
drawn for 1000 classes; it stands in the yaml, to be given as method.classes. Without it the run's seed draws one.
Agrees with: a slow rewrite, image by image, class by class.
Cost: 1 forward pass, and for each class T (1 forward + 2 backward) and 1 forward if t is reached; at most 401 + 800.
"""

from torch import nn

from bench.ranges import Classes, Count, Drawn, Reach
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import probability
from methods.parts.targeted import targeted_paths


def adversarial_gradient_integration(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    classes: Classes | None,
    n_classes: Drawn,
    epsilon: Reach,
    steps: Count,
) -> Images:
    """Signed, in units of probability: the fall of p_c on the ways to the false classes.

    classes, n_classes: where to, and how many to draw if that is None.  epsilon: in units of x.  steps: at most, a
    class.
    """
    gain = targeted_paths(
        model,
        x,
        target,
        rng,
        accumulated=probability,
        classes=classes,
        n_classes=n_classes,
        epsilon=epsilon,
        steps=steps,
        base="restart",
        stop=True,
    )
    return -gain
