"""What the papers' formulas promise, tried on a small smooth network in float64: each function is one study and returns what
it found. Names of methods are those of conf/method; settings are theirs unless a study says otherwise.
"""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from bench.claims.predicates import CANNOT_TELL, FAILS, HOLDS, Finding
from bench.config import load
from bench.errors import UserError
from bench.notes import listening
from bench.papers import printed
from bench.report.intervals import interval
from bench.rng import Rng
from bench.running.job import build
from bench.studies import aii_fig3, digits, la_fig2, study
from bench.types import Images
from methods.aii import undecidedness
from methods.parts.gradient import at, gradients, probability
from methods.parts.targeted import targeted_paths
from metrics.orders import reveal_index

SIZE, CLASSES, IMAGES = 8, 24, ["a", "b", "c"]
EXACT = 1e-9  # relative, in float64
DIGITS = 16  # that aii_fig3 explains here: as few as the bootstrap takes, and one


class Smooth(nn.Module):
    """Pixels in [0, 1] to logits: a convolution, softplus, a linear layer. It never looks at what `seen` leaves out."""

    def __init__(self, seen: Tensor | None = None, hidden: int = 6):
        super().__init__()
        self.register_buffer("seen", torch.ones(1, 3, SIZE, SIZE) if seen is None else seen)
        self.convolution = nn.Conv2d(3, hidden, 3, padding=1)
        self.head = nn.Linear(hidden * SIZE * SIZE, CLASSES)
        for name, parameter in self.named_parameters():
            scale = 2 / math.sqrt(parameter[0].numel())
            parameter.data = scale * Rng(0, f"identities/{name}", [""]).normal(*parameter.shape)[0]
        self.double().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.softplus(self.convolution((x - 0.5) * self.seen)).flatten(1))


def twin(network: Smooth) -> Smooth:
    """The same function, otherwise written: every hidden channel twice at half weight, in another order."""
    other = Smooth(network.seen, hidden=12)  # type: ignore[arg-type]
    order = torch.arange(5, -1, -1).repeat(2)
    other.convolution.weight, other.convolution.bias = (
        nn.Parameter(p[order], requires_grad=False)  # type: ignore[index]
        for p in (network.convolution.weight, network.convolution.bias)
    )
    weight = network.head.weight.view(CLASSES, 6, -1)[:, order] / 2
    other.head.weight = nn.Parameter(weight.flatten(1), requires_grad=False)
    other.head.bias = network.head.bias
    return other


def pictures() -> Images:
    """float64 [3, 3, 8, 8] in (0, 1)."""
    return Rng(0, "identities", IMAGES).uniform(3, SIZE, SIZE).double()


def attributed(method: str, network: nn.Module, *settings: str, target: Tensor | None = None) -> Images:
    """The method's maps of the pictures. settings: method.steps=5."""
    x = pictures()
    target = network(x).argmax(dim=1) if target is None else target
    return method_named(method, *settings)(network, x, target, Rng(0, method, IMAGES)).detach()


@functools.cache
def method_named(method: str, *settings: str) -> Callable:
    return build(load([f"method={method}", *settings]).cfg.method, "method")


@contextmanager
def watching(network: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Every (input, logits) that the network is asked for inside."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = network.register_forward_hook(lambda _, given, out: seen.append((given[0].detach(), out.detach())))
    try:
        yield seen
    finally:
        handle.remove()


def off(a: Tensor, b: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return ((a - b).abs().max() / b.abs().max()).item()


def found(holds: bool, because: str) -> Finding:
    return Finding(HOLDS if holds else FAILS, because)


def ig_is_complete() -> Finding:
    """Sum of IG's map = p(x) - p(black), up to what the trapezoid rule leaves, which falls with the square of the steps."""
    network, x = Smooth(), pictures()
    target = network(x).argmax(dim=1)
    rise = at(network(x).softmax(dim=1), target) - at(network(0 * x).softmax(dim=1), target)
    gap = [
        (attributed("ig", network, f"method.steps={steps}").flatten(1).sum(dim=1) - rise).abs().max().item()
        for steps in (51, 101, 201)
    ]
    text = f"the gap is {gap[0]:.1e}, {gap[1]:.1e}, {gap[2]:.1e} with 51, 101, 201 points"
    return found(gap[2] < 1e-3 and gap[1] < gap[0] / 3 and gap[2] < gap[1] / 3, text)


def path_is_complete(method: str, base: str) -> Finding:
    """The map of one path adds up to the change of what is accumulated, as steps become small. method: agi, aii."""
    network, x = Smooth(), pictures()
    target = network(x).argmax(dim=1)
    accumulated = {"agi": probability, "aii": undecidedness}[method]
    ratios = []
    for steps in (10, 40, 160):
        how: dict[str, Any] = {
            "classes": [0],
            "n_classes": 1,
            "epsilon": 0.02 / (steps if base == "walk" else 1),
            "stop": False,
        }
        rng = Rng(0, method, IMAGES)
        total = targeted_paths(network, x, target, rng, accumulated, steps=steps, base=base, **how)
        with watching(network) as seen:
            targeted_paths(network, x, target, rng, accumulated, steps=steps + 1, base=base, **how)
        of = accumulated(target)
        change = of(network(seen[-1][0])) - of(network(x))
        ratios.append((total.flatten(1).sum(dim=1) / change).mean().item())
    text = f"sum over change is {ratios[0]:.4g}, {ratios[1]:.4g}, {ratios[2]:.4g} for 10, 40, 160 steps"
    return found(abs(ratios[2] - 1) < 0.01, text)


def la_counts_each_step_once() -> Finding:
    """LA's untargeted map adds up to the fall of p_c from the image to where its exploration ends."""
    network, x = Smooth(), pictures()
    target = network(x).argmax(dim=1)
    ratios = []
    for steps in (1, 5, 20):
        how = ("method.attack=untargeted", "method.spatial_range=1000.0", f"method.steps={steps}")
        with watching(network) as seen:
            attributed("la", network, *how[:2], f"method.steps={steps + 1}")
        p = probability(target)
        fall = p(network(x)) - p(network(seen[-1][0]))
        ratios.append((attributed("la", network, *how).flatten(1).sum(dim=1) / fall).mean().item())
    text = (
        f"sum over fall is {ratios[0]:.3g}, {ratios[1]:.3g}, {ratios[2]:.3g} for N = 1, 5, 20: every step starts from x"
    )
    return found(abs(ratios[2] - 1) < 0.05, text)


def expectation_vanishes() -> Finding:
    """The mean of f(x + d) - f(x) over d in the local space, symmetric around x, is of second order in its size."""
    network, x = Smooth(), pictures()
    target = network(x).argmax(dim=1)
    p = probability(target)
    mean = []
    for s in (20, 40, 80):
        d = (2 * Rng(0, "expectation", IMAGES).uniform(400, 3, SIZE, SIZE).double() - 1) * x[:, None] / s
        moved = [p(network(x + sense * d[:, k])) - p(network(x)) for k in range(400) for sense in (1, -1)]
        mean.append(torch.stack(moved).mean(dim=0).abs().max().item())
    text = (
        f"|mean| {mean[0]:.1e}, {mean[1]:.1e}, {mean[2]:.1e} for s = 20, 40, 80: a quarter each time the space halves"
    )
    return found(all(3.6 < a / b < 4.4 for a, b in zip(mean[:-1], mean[1:], strict=True)), text)


def stays_local(method: str) -> Finding:
    """Every state that the method looks at is within x / 20 of the image."""
    network, x = Smooth(), pictures()
    with watching(network) as seen:
        method_named(method)(network, x, network(x).argmax(dim=1), Rng(0, method, IMAGES))
    far = max(((point - x).abs() * 20 / x).max().item() for point, _ in seen if point.shape == x.shape)
    return found(far <= 1 + EXACT, f"the furthest of {len(seen)} states is {far:.3g} of x / 20 away")


def sensitive(method: str) -> Finding:
    """A value that alone decides has an attribution, and values that the network never looks at have none."""
    ignored = torch.zeros(1, 3, SIZE, SIZE)
    ignored[..., 4:] = 1  # only the right half is looked at
    single = torch.zeros(1, 3, SIZE, SIZE)
    single[0, 1, 3, 3] = 1
    a = attributed(method, Smooth(ignored))
    spilt = (a[..., :4].abs().max() / a.abs().max()).item()
    alone = attributed(method, Smooth(single))[:, 1, 3, 3].abs().min().item()
    return found(spilt == 0 and alone > 0, f"what is ignored has up to {spilt:.2g} of the largest value; what decides has "
                 f"{'some' if alone > 0 else 'none'}")  # fmt: skip


def implementation_invariant(method: str) -> Finding:
    """Two networks of one function have one map."""
    network = Smooth()
    difference = off(attributed(method, twin(network)), attributed(method, network))
    return found(difference < EXACT, f"relative difference {difference:.0e}")


def class_free(method: str) -> Finding:
    """The map of a given path is the same whichever class is explained."""
    network, classes = Smooth(), "method.classes=[0,1,2]"
    one, two = (attributed(method, network, classes, target=torch.full((3,), t)) for t in (5, 6))
    return found(off(one, two) < EXACT, f"relative difference between two classes {off(one, two):.0e}")


def listing_is_equation(method: str) -> Finding:
    """Algorithm 1 computes what the equations say. method: la or aii."""
    network = Smooth()
    if method == "la":
        maps = [attributed(name, network) for name in ("la_paper", "la_algorithm1")]
    else:
        maps = [attributed("aii_algorithm1", network, f"method.sign={sign}") for sign in (1, -1)]
    rank = np.mean([spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(*maps, strict=True)])
    return found(rank > 1 - EXACT, f"rank correlation of the two maps {rank:.2f}")


def loss_rises(method: str) -> Finding:
    """The walk leads away from the class: its probability is lower at the last states than at the first."""
    network, x = Smooth(), pictures()
    target = network(x).argmax(dim=1)
    with watching(network) as seen:
        method_named(method)(network, x, target, Rng(0, method, IMAGES))
    p = torch.stack([at(logits.softmax(dim=1), target).mean() for _, logits in seen])
    first, last = p[:20].mean().item(), p[-20:].mean().item()
    return found(last < first, f"mean p_c {first:.3f} at the first step, {last:.3f} at the last")


def explorations(method: str, stated: str) -> Finding:
    """So many states are looked at, an image."""
    network, x = Smooth(), pictures()
    with watching(network) as seen:
        method_named(method)(network, x, torch.zeros(3, dtype=torch.int64), Rng(0, method, IMAGES))
    return found(len(seen) == int(stated), f"{len(seen)} forward passes")


def costs_the_same(method: str, other: str) -> Finding:
    """Two methods take as many passes on the same image."""
    network, counts = Smooth(), []
    for name in (method, other):
        with listening() as facts:
            attributed(name, network)
        counts.append([(facts[f"{way}_passes"] + torch.zeros(3)).tolist() for way in ("forward", "backward")])
    said = [f"{forward[0]:.0f} forward, {backward[0]:.0f} backward" for forward, backward in counts]
    text = f"{method} takes {said[0]}; {other} {said[1]}"
    return found(counts[0] == counts[1], text)


def confuses(way: str) -> Finding:
    """Steps along `way` (plus or minus) the sign of dS/dx, of a constant colour, make the network less certain."""
    network = Smooth()
    colour = Rng(0, "confusion", [""]).uniform(8, 3)[0].double()
    entropies = []
    for _ in range(40):
        _, (gradient,) = gradients(network, plain(colour), [lambda z: z.log_softmax(dim=1).sum(dim=1)])
        p = network(plain(colour)).softmax(dim=1)
        entropies.append(-(p * p.log()).sum(dim=1).mean().item())
        step = 0.01 * gradient.sum(dim=(2, 3)).sign()
        colour = (colour + (step if way == "plus" else -step)).clamp(0, 1)
    return found(
        entropies[-1] > entropies[0], f"mean entropy {entropies[0]:.3f} at the start, {entropies[-1]:.3f} after 40"
    )


def plain(colours: Tensor) -> Images:
    """[N, 3] colours as images."""
    return colours[:, :, None, None].expand(-1, -1, SIZE, SIZE)


def uniform_is_extreme() -> Finding:
    """Of all predictions the uniform one has the largest entropy, the largest S and the smallest KL(Q || P), all at once."""
    p = (3 * Rng(0, "simplex", [""]).normal(500, CLASSES)[0].double()).softmax(dim=1)
    uniform = torch.full((1, CLASSES), 1 / CLASSES).double()

    def of(q: Tensor) -> Tensor:
        return torch.stack([-(q * q.log()).sum(dim=1), q.log().sum(dim=1), q.log().mean(dim=1) + math.log(CLASSES)])

    margin = (of(uniform) - of(p)).min().item()
    return found(margin > 0, f"500 others fall short by at least {margin:.2g} in each")


def kl_falls_with_certainty() -> Finding:
    """KL(Q || P) is small where the network is certain, so that a small KL insertion would be good."""
    logits = Smooth()(pictures())
    kl = [-math.log(CLASSES) - (scale * logits).log_softmax(dim=1).mean().item() for scale in (0.5, 1, 2, 4)]
    return found(
        kl[-1] < kl[0],
        "KL " + ", ".join(f"{value:.2f}" for value in kl) + " as the logits grow from half to four times",
    )


def printed_kl_is_of_p_to_q() -> Finding:
    """The printed numbers can be KL(P || Q), which is log C minus the entropy."""
    cells = printed.cells()
    most = cells.loc[(cells["metric"] == "kl") & (cells["quantity"] == "insertion"), "value"].max()
    return found(most <= math.log(1000), f"the largest printed value is {most:.3f}, log 1000 is {math.log(1000):.3f}")


def deletion_mirrors_insertion(order: str) -> Finding:
    """The deletion score of a map is the insertion score of its negative."""
    network, x = Smooth(), pictures()
    target = network(x).argmax(dim=1)
    a = attributed("sm_signed", network)
    inserted, deleted = game(network, x, target, -a, order, True), game(network, x, target, a, order, False)
    difference = (inserted - deleted).abs().max().item()
    return found(difference < EXACT, f"largest difference {difference:.1e}")


def game(network: nn.Module, x: Images, target: Tensor, a: Images, order: str, insert: bool) -> Tensor:
    """The area under p_c while values are put in or taken out, from black. [B]"""
    turn, steps = reveal_index(a, order, 12 if order == "element" else 4)
    frames = [torch.where((turn < k) == insert, x, 0) for k in range(steps + 1)]
    curve = torch.stack([at(network(frame).softmax(dim=1), target) for frame in frames], dim=1)
    return torch.trapezoid(curve, dx=1 / steps, dim=1)


def loses_the_class(path: str, steps: str) -> Finding:
    """How many images have lost their class after so many steps of an attack, and how many to random signs as long as AGI's,
    on the tiny network: none of the papers', so that no verdict follows.  path: la_fig2's.
    """
    lost, control = (_lost(name)[:, int(steps)] for name in (path, "random"))
    low, high = interval(lost[:, None], draws=2000)[:, 0]
    text = f"tiny network: {lost.mean():.0%} of {len(lost)} images lost [{low:.0%}, {high:.0%}]"
    text += f"; to random signs {control.mean():.0%}"
    return Finding(CANNOT_TELL, f"{text}. The papers' networks: python -m bench.studies.la_fig2")


def keeps_the_class(path: str) -> Finding:
    """How many images have lost their class after twenty steps, on the tiny network: no verdict follows for another."""
    lost = _lost(path)[:, la_fig2.STEPS]
    low, high = interval(lost[:, None], draws=2000)[:, 0]
    text = f"tiny network: {lost.mean():.0%} of {len(lost)} images lost [{low:.0%}, {high:.0%}]"
    return Finding(CANNOT_TELL, f"{text}. The papers' networks: python -m bench.studies.la_fig2")


@functools.cache
def _lost(path: str) -> np.ndarray:
    """[images, steps + 1]: 1 where la_fig2's path has lost the class."""
    (job,) = study.cells(["model=tiny", "data=synthetic", "data.limit=48", "compute.device=cpu"], ("random",))[0]
    job = replace(job, method=functools.partial(la_fig2.readings, names=(path,), steps=la_fig2.STEPS))
    return la_fig2.measured(job, (path,))["lost"][:, 0]


def class_hardly_matters(least: str) -> Finding:
    """Maps of all classes along AII's path, on the network of digits: the mean rank correlation of two classes' |A| is at
    least so high, the whole interval above it; the whole interval below it: it is not.

    The paper names no network and speaks of digits, so that a classifier of digits decides as any network decides a formula.
    """
    try:
        alike = _of_digits()
    except UserError as error:  # scikit-learn has the digits
        return Finding(CANNOT_TELL, str(error))
    classes = alike["AII, p", "classes", "absolute"]
    kept = classes[~np.isnan(classes)]
    low, high = interval(kept[:, None], draws=2000)[:, 0]
    signed, of_pictures, gradient = (
        np.nanmean(alike[key])
        for key in (
            ("AII, p", "classes", "signed"),
            ("AII, p", "pictures", "absolute"),
            ("sm_signed", "classes", "absolute"),
        )
    )
    text = (
        f"network of digits: |A| of two classes correlates by {kept.mean():.2f} [{low:.2f}, {high:.2f}] on {len(kept)} "
        f"digits, of two digits by {of_pictures:.2f}; gradients of two classes by {gradient:.2f}; "
        f"signed maps by {signed:.2f}, as the ten add up to 0"
    )
    verdict = HOLDS if low >= float(least) else FAILS if high < float(least) else CANNOT_TELL
    return Finding(verdict, f"{text}. More: python -m bench.studies.aii_fig3")


def _of_digits() -> dict[tuple[str, str, str], np.ndarray]:
    """aii_fig3's correlations of DIGITS pictures, with p accumulated. UserError: scikit-learn is not installed."""
    how = [f"data.limit={DIGITS}", f"compute.batch_size={DIGITS}", "compute.device=cpu"]
    aii, gradient = aii_fig3.cells(*digits.digits(seed=0), how)
    return aii_fig3.measured(aii, aii_fig3.families(aii, gradient, {"p": probability}))[0]


STUDIES: dict[str, Callable[..., Finding]] = {
    function.__name__: function
    for function in (
        ig_is_complete, path_is_complete, la_counts_each_step_once, expectation_vanishes, stays_local, sensitive,
        implementation_invariant, class_free, listing_is_equation, loss_rises, explorations, costs_the_same, confuses,
        uniform_is_extreme, kl_falls_with_certainty, printed_kl_is_of_p_to_q, deletion_mirrors_insertion, loses_the_class,
        keeps_the_class, class_hardly_matters,
    )
}  # fmt: skip
