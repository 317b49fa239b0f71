"""What the papers write and the released programs do, where `methods/` has no method of it, and how far it goes."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bench.config import load
from bench.rng import Rng
from bench.running.job import build
from bench.studies.contradictions.sight import Sight
from bench.types import Images, Objective, Targets
from methods.big import attack
from methods.parts.gradient import input_gradient, log_probability, probability
from methods.parts.targeted import targeted_paths
from metrics.orders import reveal_index

SMALL_AGI = {"n_classes": 3, "steps": 4}


def released_eg(sight: Sight) -> Images:
    """As released: batches of 4, and indices that run through the flattened output: classes 0 to 3 of the first image."""
    x, first = sight.x, torch.arange(len(sight.x), device=sight.x.device) % 4 == 0
    a = sight.rng("eg").uniform()[:, None, None, None].to(x.dtype)
    r = x.roll(1, dims=0)  # theirs are shuffled; the next image will do
    gradient = input_gradient(sight.network, r + a * (x - r), lambda z: z.softmax(dim=1)[:, :4].sum(dim=1) * first)
    return (x - r) * gradient


def boundaries(sight: Sight) -> tuple[int, float]:
    """Of BIG's attack: how many images leave their class, and how far the farthest value has moved."""
    settings = build(load(["method=big"]).cfg.method, "method").keywords
    how = {name: settings[name] for name in ("alpha", "steps", "stop", "accumulate_grad")}
    end = attack(sight.network, sight.x, sight.target, **how).end
    with torch.no_grad():
        met = sight.network(end).argmax(dim=1) != sight.target
    return int(met.sum()), (end - sight.x).abs().max().item()


def agi(sight: Sight, accumulated: Callable[[Targets], Objective] = probability, **changed: object) -> Images:
    """AGI with other settings than its own. base="walk": as its paper has it, each step starts where the last one ended."""
    settings = build(load(["method=agi"]).cfg.method, "method").keywords
    how = {"base": "restart", "stop": True, **settings, **changed}
    return -targeted_paths(sight.network, sight.x, sight.target, sight.rng("agi"), accumulated, **how).detach()


def both_ways(sight: Sight) -> tuple[float, float, float]:
    """The largest KL(uniform || p) and KL(p || uniform) of the images, and the bound of the second, in nats."""
    with torch.no_grad():
        log_p = sight.network(sight.x).double().log_softmax(dim=1)
    bound = math.log(log_p.shape[1])
    one, other = -log_p.mean(dim=1) - bound, (log_p.exp() * log_p).sum(dim=1) + bound
    return one.max().item(), other.max().item(), bound


def swap_error(sight: Sight, maps: Images) -> float:
    """How far the insertion of a map upside down is from its deletion. Values that tie are parted first, at random."""
    ranked = maps.flatten(1).argsort(dim=1, stable=True).argsort(dim=1).view_as(maps).to(maps.dtype)  # no ties
    turned, plain = sight.scores(-ranked), sight.scores(ranked)
    return (turned["insertion"] - plain["deletion"]).abs().max().item()


def leaky_agi(sight: Sight) -> Images:
    """AGI with the released sum over the batch, p[:, predictions]: each image explains the classes of all its mates."""
    return agi(sight, lambda _: lambda logits: logits.softmax(dim=1)[:, sight.target].sum(dim=1), **SMALL_AGI)


def stacked(target: Targets) -> dict[str, Objective]:
    """Objectives of the released programs, whose network already ends in a softmax."""
    return {
        "−CE(p)": lambda z: log_probability(target)(z.softmax(dim=1)),
        "softmax(p)": lambda z: probability(target)(z.softmax(dim=1)),
        "−CE(softmax(p))": lambda z: log_probability(target)(z.softmax(dim=1).softmax(dim=1)),
    }


def against_probability(sight: Sight, objective: Objective) -> tuple[Tensor, Tensor]:
    """Cosine and ratio of lengths of the objective's gradient and that of p_t, [n] each."""
    gradient, plain = (input_gradient(sight.network, sight.x, f) for f in (objective, probability(sight.target)))
    lengths = [g.flatten(1).double().norm(dim=1) for g in (gradient, plain)]
    return cosine(gradient, plain), lengths[0] / lengths[1].clamp(min=1e-300)


def cosine(a: Images, b: Images) -> Tensor:
    """[n]; 0 where one of the two is 0 everywhere."""
    a, b = (maps.flatten(1).double() for maps in (a, b))
    return (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-300)


def shown_at_a_third(maps: Images) -> Tensor:
    """Share of pixels, [n], that `channel_union` has shown when each channel has had a third of its values."""
    tau, steps = reveal_index(maps, "channel_union", 1)
    return (tau < steps / 3).double().flatten(1).mean(dim=1)


def entropies(sight: Sight, sign: int, *, starts: int = 8, steps: int = 60, rate: float = 0.02) -> Tensor:
    """In nats, [starts], of the prediction for a constant image whose colour has gone along sign * dS, S = sum log p."""
    size, rng = sight.x.shape[2], Rng(sight.seed, "contradictions", [""], sight.x.device)
    x = rng.uniform(starts, 3, 1, 1)[0].to(sight.x.dtype).expand(-1, -1, size, size)
    for _ in range(steps if sign else 0):
        gradient = input_gradient(sight.network, x, lambda z: z.log_softmax(dim=1).sum(dim=1))
        x = (x + sign * rate * gradient.sum(dim=(2, 3), keepdim=True).sign()).clamp(0, 1)
    with torch.no_grad():
        log_p = sight.network(x).log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1)
