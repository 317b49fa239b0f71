"""What each entry of docs/contradictions.md that is about a network says of one."""

from collections.abc import Callable, Iterator

import torch

from bench.config import load
from bench.running.job import build
from bench.sanity import rank_correlation
from bench.studies.contradictions.released import (
    SMALL_AGI,
    against_probability,
    agi,
    both_ways,
    boundaries,
    cosine,
    entropies,
    leaky_agi,
    released_eg,
    shown_at_a_third,
    stacked,
    swap_error,
)
from bench.studies.contradictions.sight import Sight, numbers
from bench.studies.contradictions.words import RANDOM, Finding, compared
from bench.text import plural
from methods.parts.gradient import input_gradient, probability
from metrics.infidelity import infidelity

DRAWS = 30  # of infidelity
ORDERS = ("channel_union", "channel", "element")
Pairs = tuple[tuple[str, str], ...]
VARIANTS: dict[int, Pairs] = {  # by entry: methods that one name stands for, in the pairs that are told apart
    11: (("la", "la_paper"), ("la", "la_algorithm1")),
    12: (("attexplore", "attexplore_paper"),),
    13: (
        ("attexplore_noattack", "attexplore_noattack_as_published"),
        ("attexplore_pgd", "attexplore_pgd_as_published"),
        ("attexplore_noattack", "attexplore_pgd"),
    ),
    14: (("aii", "agi"), ("aii_algorithm1", "agi"), ("aii", "aii_algorithm1")),
    15: (("deeplift", "deeplift_as_published"), ("deeplift_as_published", "fast_ig")),
    16: (("big", "big_as_published"), ("big", "big_boundary")),
}


def confident(sight: Sight) -> Iterator[Finding]:
    with torch.no_grad():
        confidence = sight.network(sight.x).softmax(dim=1).amax(dim=1)
    yield Finding("images with confidence ≥ 70 %", f"{int((confidence >= 0.7).sum())} of {len(sight.ids)}")


def raster_scan(sight: Sight) -> Iterator[Finding]:
    raster = sight.map("raster")
    zeros, scan = (sight.scores(maps)["insertion_curve"] for maps in (torch.zeros_like(raster), raster))
    yield Finding(
        "a map of zeros against `raster`, U-INS: largest difference along the curves",
        f"{(zeros - scan).abs().max():.1g}",
    )
    yield from sight.games({"EG as released": released_eg(sight), "raster": raster}, [("EG as released", "raster")])


def wrong_sign(sight: Sight) -> Iterator[Finding]:
    maps = {name: sight.map(name) for name in ("fast_ig", "fast_ig_as_published")}
    yield from sight.games(maps, [("fast_ig", "fast_ig_as_published")])
    yield Finding("INS(−A) − DEL(A) under `element`: largest of an image", f"{swap_error(sight, maps['fast_ig']):.1g}")


def two_saliencies(sight: Sight) -> Iterator[Finding]:
    yield from sight.games({name: sight.map(name) for name in ("sm", "sm_signed")}, [("sm", "sm_signed")])


def batch_mates(sight: Sight) -> Iterator[Finding]:
    own, mixed = agi(sight, **SMALL_AGI), leaky_agi(sight)
    alike = {name: rank_correlation(own, maps) for name, maps in ((RANDOM, sight.map(RANDOM)), ("mixed", mixed))}
    batch = f"{plural(len(sight.ids), 'image')} of {plural(sight.target.unique().numel(), 'class')}"
    what = f"rank correlation with AGI's own map, in a batch of {batch}"
    yield from sight.beside(what, [{name: numbers(of) for name, of in alike.items()}])
    yield Finding(f"{what}: mixed, the worst", f"{alike['mixed'].min():.3f}")
    yield from sight.games({"own": own, "mixed": mixed}, [("own", "mixed")])


def softmaxes(sight: Sight) -> Iterator[Finding]:
    gradients = {name: against_probability(sight, objective) for name, objective in stacked(sight.target).items()}
    plain = input_gradient(sight.network, sight.x, probability(sight.target))
    cosines = {RANDOM: cosine(sight.map(RANDOM), plain)} | {name: of for name, (of, _) in gradients.items()}
    yield from sight.beside("cosine with the gradient of p", [{name: numbers(of) for name, of in cosines.items()}])
    for name, (_, ratio) in gradients.items():
        yield Finding(f"length of the gradient of {name}, in those of p's", sight.mean(ratio, digits=5))


def variants(pairs: Pairs) -> Callable[[Sight], Iterator[Finding]]:
    names = dict.fromkeys(name for pair in pairs for name in pair)
    return lambda sight: sight.games({name: sight.map(name) for name in names}, pairs)


def no_boundary(sight: Sight) -> Iterator[Finding]:
    met, length = boundaries(sight)
    what = "images whose attack meets a boundary in 50 steps; largest change of a value"
    yield Finding(what, f"{met} of {len(sight.ids)}; {length:.3f}")
    yield from variants(VARIANTS[16])(sight)


def starts_over(sight: Sight) -> Iterator[Finding]:
    maps = {"as released": sight.map("agi"), "walking on": agi(sight, base="walk")}
    yield from sight.games(maps, [("as released", "walking on")])


def two_classes(sight: Sight) -> Iterator[Finding]:
    known = [(t, y) for t, y in zip(sight.target.tolist(), sight.labels, strict=True) if y is not None]
    if known:
        yield Finding("images whose prediction is not their label", f"{sum(t != y for t, y in known)} of {len(known)}")


def union(sight: Sight) -> Iterator[Finding]:
    maps = {name: sight.map(name) for name in ("sm", "ig")}
    shown = {name: numbers(shown_at_a_third(of)) for name, of in {RANDOM: sight.map(RANDOM), **maps}.items()}
    yield from sight.beside("pixels shown at a third of the axis", [shown])
    for order in ORDERS:
        yield from sight.games(maps, order=order)
    insertions = {order: numbers(sight.control(order)["insertion"]) for order in ORDERS}
    yield from sight.beside("INS of a random map", [insertions], [("channel_union", "element")])


def one_sign(sight: Sight) -> Iterator[Finding]:
    shipped = build(load(["metric=[infidelity]"]).cfg.metric.infidelity, "metric.infidelity").keywords
    ig = sight.map("ig")
    maps = {RANDOM: sight.map(RANDOM), "ig": ig, "its magnitude": ig.abs(), "a map of ones": torch.ones_like(ig)}
    scores = {name: infidelity(sight.trial(of), **shipped | {"draws": DRAWS})["score"] for name, of in maps.items()}
    pairs = [("its magnitude", "ig"), ("a map of ones", "its magnitude")]
    yield from sight.beside("INFD", [{name: numbers(of) for name, of in scores.items()}], pairs)


def confusion(sight: Sight) -> Iterator[Finding]:
    found = {
        name: numbers(entropies(sight, sign)) for name, sign in (("start", 0), ("ascending", 1), ("descending", -1))
    }
    yield from compared(
        "entropy of constant colours (nats)",
        [found],
        [("ascending", "start"), ("descending", "start")],
        classes=None,
        draws=sight.draws,
    )


def which_way_round(sight: Sight) -> Iterator[Finding]:
    yield Finding(
        "KL(uniform ‖ p), KL(p ‖ uniform) of the images, largest; ln of the number of classes (nats)",
        " / ".join(f"{value:.3f}" for value in both_ways(sight)),
    )


OF_A_NETWORK: dict[int, Callable[[Sight], Iterator[Finding]]] = {
    1: confident,
    6: raster_scan,
    7: wrong_sign,
    8: two_saliencies,
    9: batch_mates,
    10: softmaxes,
    **{number: variants(pairs) for number, pairs in VARIANTS.items()},
    16: no_boundary,
    17: starts_over,
    18: two_classes,
    19: union,
    20: one_sign,
    21: confusion,
    22: which_way_round,
}
ONCE = {21}  # what costs the same for any number of images
