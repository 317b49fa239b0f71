"""DeepLIFT. Shrikumar, Greenside & Kundaje, ICML 2017, https://arxiv.org/abs/1704.02685, the rescale rule:

    A = (x - x0) * m,    m = d z_t / d x  with every nonlinearity's derivative replaced by  (y - y0) / (h - h0)

for its input h and output y at the image, h0 and y0 at the baseline x0, so that sum(A) = z_t(x) - z_t(x0). The rules
(methods/rescale.py) act on function calls while the network runs. It stays as it is: blocks may share a ReLU, call it
in place or as a function; compiled networks run uncompiled meanwhile; scripted (torch.jit) parts and whatever is a
torch.autograd.Function keep their gradient.

`rules: all`. The paper's rule is for functions of one number; the others are ours, chosen to keep the sum:
- max-pool: captum's rule; a pixel that several windows chose gets the sum of its credits (captum keeps one of them);
- gates, attention, products of two things that vary: each one's change times the middle of the other's two values;
- softmax: exp(h - log sum exp h), the exponential rescaled; exact, and blind to a shift of h;
- LayerNorm, GroupNorm, RMSNorm, Euclidean norms, quotients: products and rescaled 1 / sqrt, sqrt, 1 / h.
So completeness holds to rounding, in CNNs and transformers alike. What is bent and has no rule (maximum over a
dimension, variance, sorting, a condition on the image) keeps its gradient; completeness_gap shows what is missing.
Where h and h0 meet, to sqrt(eps) of their size, the derivative is taken. Where a rule acts, the batch must be the outer
part of the first dimension, as it is in the classifiers of torchvision and timm that were tried.

`rules: released` and the objective p_t are what the tables of LA and AII call DeepLIFT: captum replaces derivatives of
modules only, and their networks call ReLU as a function. What is left is x times the gradient, with captum's rules at
max-pool modules, sigmoid modules (in MaxViT's gates) and the final softmax; not complete. Departures: captum's softmax
rule subtracts a mean over the whole batch, here over the image's classes (the same at batch size 1); max-pool as above.

Agrees with: captum `DeepLift` on plain networks, both sets of rules; multipliers and pools written out by hand; module
and hand-written forms of attention, LayerNorm and SiLU with each other; completeness on every kind of network in conf.
Cost: 2 forward, 2 backward passes: image and baseline in one batch of twice the size.
"""

from typing import Literal

import torch
from torch import nn

from bench.notes import note
from bench.ranges import Share
from bench.rng import Rng
from bench.types import Images, Targets
from methods.parts.gradient import at
from methods.parts.rescale import RescaleEverywhere, rescale_as_released, softmax_of_captum

RULES = {
    "all": (lambda model: RescaleEverywhere(), torch.softmax),
    "released": (rescale_as_released, softmax_of_captum),
}


def deeplift(
    model: nn.Module,
    x: Images,
    target: Targets,
    rng: Rng,
    *,
    baseline: Share,
    objective: Literal["logit", "probability"],
    rules: Literal["all", "released"],
) -> Images:
    """The objective's rise from x0 to x shared out over the input values, signed, in the objective's units.

    baseline: grey level of x0, in the units of x.  objective: `logit` or `probability` of the target.
    rules: `all`, or those that were at work in the `released` programs.  rng: ignored, the method is deterministic.
    """
    x0 = torch.full_like(x, baseline)
    follow, softmax = RULES[rules]
    with torch.enable_grad(), torch.compiler.set_stance("force_eager"), follow(model):  # no rule acts in compiled code
        pair = torch.cat([x, x0]).detach().requires_grad_()
        logits = model(pair)
        outputs = at(softmax(logits, 1) if objective == "probability" else logits, target.repeat(2))
    (multipliers,) = torch.autograd.grad(outputs.sum(), pair)
    attribution = (x - x0) * multipliers[: len(x)]
    output, output0 = outputs.detach().chunk(2)
    note(completeness_gap=attribution.flatten(1).sum(dim=1) - (output - output0))
    return attribution
