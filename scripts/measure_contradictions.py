"""Measure what docs/contradictions.md tells:

    python scripts/measure_contradictions.py model=resnet50 data=folder data.root=DIR

Takes what `bench.run` takes; without anything, the tiny network on 16 drawn images. Prints a table: the number of the
entry in docs/contradictions.md, what is measured, and what comes out, of the printed tables or on this network. Curves
have 33 points, and for entry 9 AGI is run with 3 classes of 4 steps; in all some 10,000 passes an image, of which the
methods that papers and programs write in several ways are nine tenths: minutes on the tiny network.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import pandas as pd
import torch
from torch import nn

from bench.cli import command
from bench.config import load
from bench.images.stream import stream
from bench.papers.published import FOLDER
from bench.rng import Rng
from bench.running.job import Job, build, open_job
from bench.sanity import rank_correlation
from bench.text import plural
from bench.types import Images, Objective, Targets
from methods.big import attack
from methods.parts.gradient import input_gradient, log_probability, probability
from methods.parts.targeted import targeted_paths
from metrics.batch import MapBatch, Readings
from metrics.infidelity import infidelity
from metrics.orders import reveal_index
from metrics.perturbation import perturbation

IMAGES = 16  # unless data.limit says otherwise
STEPS = 32  # of insertion and deletion
DRAWS = 30  # of infidelity
NETWORKS = ("inception_v3", "resnet50", "vgg16")
OTHER_SET = ("guided_ig", "eg", "deeplift", "sg")  # the rows of AII's Tables 5 and 6 that are of other images
SAME_SET = ("sm", "ig", "fast_ig", "big", "mfaba", "attexplore", "agi", "aii")
SMALL_AGI = {"n_classes": 3, "steps": 4}
VARIANTS = {  # methods that one name stands for, by entry
    11: ("la", "la_paper", "la_algorithm1"),
    12: ("attexplore", "attexplore_paper"),
    13: ("attexplore_noattack", "attexplore_noattack_as_published", "attexplore_pgd", "attexplore_pgd_as_published"),
    14: ("agi", "aii", "aii_algorithm1"),
    15: ("deeplift", "deeplift_as_published", "fast_ig"),
    16: ("big", "big_as_published", "big_boundary"),
}

Finding = tuple[int, str, str]  # the entry's number, what is measured, what comes out


def main(overrides: list[str]) -> None:
    job = open_job(load([f"data.limit={IMAGES}", "metric=[infidelity]", *overrides]))
    names = job.config.names
    images = f"{plural(len(job.ids), 'image')} of {names['data']}"
    print(f"| # | {names['model']}, {images} | measured here |\n| --- | --- | --- |")
    for number, what, measured in chain(of_the_tables(), of_the_network(job)):
        print(f"| {number} | {what} | {measured} |", flush=True)


# ---- what the printed tables say of themselves ----


def of_the_tables() -> Iterator[Finding]:
    u, f, kl = (pd.concat([printed("aii", part), printed("aii", whole)]) for part, whole in ((1, 5), (2, 6), (3, 7)))
    for name, table, metric, methods in (
        ("AII Tables 1 and 5", u, "unified.insertion", SAME_SET),
        ("AII Tables 2 and 6", f, "fair.insertion", SAME_SET),
        ("AII Tables 3 and 7", kl, "kl.insertion", SAME_SET + OTHER_SET),
    ):
        shares = " / ".join(f"{high_share(table, network, metric, methods):.3f}" for network in NETWORKS)
        yield 1, f"{name}: share of images with confidence ≥ 70 %, {' / '.join(NETWORKS)}", shares
    for methods in (OTHER_SET, SAME_SET):
        wrong, cells = map(sum, zip(outside(u, "unified", methods), outside(f, "fair", methods), strict=True))
        yield 2, f"AII Tables 5, 6, {', '.join(methods)}: means of all outside [low, high]", f"{wrong} of {cells}"
    la = {table: printed("la", table) for table in (1, 3)}
    same = [la[3]["vgg16", m, q, "all"] == la[3]["maxvit_t", m, q, "all"] for m, q in rows(la[3])]
    yield 3, "LA Table 3: cells of MaxViT-T equal to VGG16's", f"{sum(same)} of {len(same)}"
    shared = [key for key in la[3].index if key[0] in NETWORKS and key[1] in SAME_SET]
    same = [abs(la[3][key] - u[key]) < 0.00006 for key in shared]
    yield 4, "AII Table 5: cells equal to LA Table 3's", f"{sum(same)} of {len(same)}"
    fps = printed("attexplore", 2)
    rates = {"ig": 50, "sg": 50, "attexplore": 200}  # forward and backward passes an image
    text = ", ".join(f"{m} {fps['', m, 'fps', 'all'] * n:.0f}" for m, n in rates.items())
    yield 23, "AttEXplore Table 2: forward and backward passes a second that its images a second need", text
    rivals = [m for m in la[1].index.unique("method") if m != "la"]
    for name, against in (("AGI, AttEXplore", ("agi", "attexplore")), ("all 11", rivals)):
        changes = " / ".join(
            f"{100 * relative_change(la[1], q, against):+.2f} %" for q in ("unified.insertion", "unified.deletion")
        )
        yield 24, f"LA Table 1: relative change of insertion / deletion against {name}", changes


def printed(paper: str, table: int) -> pd.Series:
    """The values of a table that sweeps nothing, by (model, method, metric.quantity, confidence)."""
    values = pd.read_csv(
        FOLDER / f"{paper}_table{table}.csv", dtype={"value": float}, keep_default_na=False, na_values={"value": ""}
    )
    values["metric"] = (values["metric"] + "." + values["quantity"]).str.lstrip(".")
    return values.dropna(subset="value").set_index(["model", "method", "metric", "confidence"])["value"].sort_index()


def rows(table: pd.Series) -> list[tuple[str, str]]:
    return sorted({(method, metric) for _, method, metric, _ in table.index})


def high_share(table: pd.Series, network: str, metric: str, methods: tuple[str, ...]) -> float:
    """p of all = (1 - p) low + p high, by least squares over methods: the share of images with high confidence."""
    low, high, all_ = (
        table.loc[[(network, method, metric, split) for method in methods]].to_numpy()
        for split in ("low", "high", "all")
    )
    return float(((all_ - low) * (high - low)).sum() / ((high - low) ** 2).sum())


def outside(table: pd.Series, family: str, methods: tuple[str, ...]) -> tuple[int, int]:
    """How many means over all images are not between those of their parts, and how many there are."""
    cells = [(n, m, f"{family}.{q}") for n in NETWORKS for m in methods for q in ("insertion", "deletion")]
    splits = [[table[(*job, split)] for split in ("low", "all", "high")] for job in cells]
    return sum(not min(low, high) <= all_ <= max(low, high) for low, all_, high in splits), len(cells)


def relative_change(table: pd.Series, metric: str, against: tuple[str, ...]) -> float:
    """Of LA, (new - old) / old, mean over networks and the methods it is set against."""
    networks = table.index.unique("model")
    pairs = [(table[n, "la", metric, "all"], table[n, m, metric, "all"]) for n in networks for m in against]
    return sum((new - old) / old for new, old in pairs) / len(pairs)


# ---- what can be shown on a network ----


@dataclass(frozen=True)
class Sight:
    """One batch of images, and the network that sees them."""

    network: nn.Module
    x: Images
    target: Targets
    ids: list[str]
    seed: int

    def rng(self, name: str) -> Rng:
        return Rng(self.seed, name, self.ids, self.x.device)

    def map(self, name: str, *settings: str) -> Images:
        method = build(load([f"method={name}", *settings]).cfg.method, "method")
        return method(self.network, self.x, self.target, self.rng(name)).detach()

    def trial(self, maps: Images) -> MapBatch:
        return MapBatch(
            self.network, self.x, self.target, maps, ids=self.ids, seed=self.seed, colour=lambda: torch.zeros(3)
        )

    def scores(self, maps: Images, order: str) -> Readings:
        """Insertion and deletion, from black."""
        step = self.x[0, 0].numel() // STEPS * (3 if order == "element" else 1)
        return perturbation(self.trial(maps), order=order, baseline="black", readout="probability", step=step)


def look(job: Job) -> tuple[Sight, list[int | None]]:
    """All images of the job as one batch, and their labels."""
    batch = next(stream(job.source, job.ids, len(job.ids), workers=0))
    x = job.compute.place(batch.x[: len(batch.ids)])
    with torch.no_grad():
        target = job.network(x).argmax(dim=1)
    return Sight(job.network, x, target, batch.ids, job.seeds.draws), batch.labels


def of_the_network(job: Job) -> Iterator[Finding]:
    sight, labels = look(job)
    with torch.no_grad():
        confidence = sight.network(sight.x).softmax(dim=1).amax(dim=1)
    yield 1, "share of images with confidence ≥ 70 %", f"{(confidence >= 0.7).double().mean():.3f}"

    raster = sight.map("raster")
    zeros, scan = (sight.scores(maps, "element")["insertion_curve"] for maps in (torch.zeros_like(raster), raster))
    yield (
        6,
        "a map of zeros against `raster`, U-INS: largest difference along the curves",
        f"{(zeros - scan).abs().max():.1g}",
    )
    yield 6, "U-INS / U-DEL: EG as released, `raster`", pairs(sight, "element", released_eg(sight), raster)

    ig, fast_ig = sight.map("ig"), sight.map("fast_ig")
    both = pairs(sight, "element", fast_ig, sight.map("fast_ig_as_published"))
    yield 7, "U-INS / U-DEL: Fast-IG, as released", both
    yield 7, "INS(−A) − DEL(A) under `element`: largest of an image", f"{swap_error(sight, fast_ig):.1g}"

    sm, signed = sight.map("sm"), sight.map("sm_signed")
    yield 8, "U-INS / U-DEL: SM absolute, SM signed", pairs(sight, "element", sm, signed)

    clean, leaky = agi(sight, **SMALL_AGI), leaky_agi(sight)
    alike = rank_correlation(clean, leaky)
    batch = f"a batch of {plural(len(sight.ids), 'image')} of {plural(sight.target.unique().numel(), 'class')}"
    yield (
        9,
        f"AGI mixed over {batch}: rank correlation with its own map, mean (worst)",
        f"{alike.mean():.3f} ({alike.min():.3f})",
    )
    yield 9, "U-INS / U-DEL: AGI's own, mixed", pairs(sight, "element", clean, leaky)

    for name, objective in stacked(sight.target).items():
        cosine, ratio = against_probability(sight, objective)
        yield (
            10,
            f"gradient of {name} against that of p: cosine, ratio of lengths (means)",
            f"{cosine:+.4f}, {ratio:.2e}",
        )

    for number, names in VARIANTS.items():
        yield number, f"U-INS / U-DEL: {', '.join(names)}", pairs(sight, "element", *map(sight.map, names))
    met, length = boundaries(sight)
    yield 16, "images whose attack meets a boundary in 50 steps; largest change of a value", f"{met:.3f}; {length:.3f}"
    yield (
        17,
        "U-INS / U-DEL: AGI as released, walking on",
        pairs(sight, "element", sight.map("agi"), agi(sight, base="walk")),
    )

    if known := [(t, y) for t, y in zip(sight.target.tolist(), labels, strict=True) if y is not None]:
        yield 18, "images whose prediction is not their label", f"{sum(t != y for t, y in known)} of {len(known)}"

    yield (
        19,
        "pixels shown at a third of the axis: random map, SM, IG",
        " / ".join(f"{shown_at_a_third(maps):.3f}" for maps in (sight.map("random"), sm, ig)),
    )
    for order in ("channel_union", "channel", "element"):
        yield 19, f"INS / DEL under `{order}`: IG, SM", pairs(sight, order, ig, sm)

    settings = build(load(["metric=[infidelity]"]).cfg.metric.infidelity, "metric.infidelity").keywords | {
        "draws": DRAWS
    }
    scores = (infidelity(sight.trial(maps), **settings)["score"].mean() for maps in (ig, ig.abs(), torch.ones_like(ig)))
    yield 20, "INFD: IG, its magnitude, a map of ones", " / ".join(f"{score:.3g}" for score in scores)

    yield (
        22,
        "KL(uniform ‖ p), KL(p ‖ uniform) of the images, largest; ln of the number of classes (nats)",
        " / ".join(f"{value:.3f}" for value in both_ways(sight)),
    )

    start, up, down = (mean_entropy(sight, sign) for sign in (0, 1, -1))
    yield (
        21,
        "entropy of constant colours: at the start, ascending S, descending S (nats)",
        f"{start:.3f} / {up:.3f} / {down:.3f}",
    )


def pairs(sight: Sight, order: str, *maps: Images) -> str:
    """'insertion / deletion' of each, means over images."""
    scores = [sight.scores(one, order) for one in maps]
    return ", ".join(f"{s['insertion'].mean():.4f} / {s['deletion'].mean():.4f}" for s in scores)


def released_eg(sight: Sight) -> Images:
    """As released: batches of 4, and indices that run through the flattened output: classes 0 to 3 of the first image."""
    x, first = sight.x, torch.arange(len(sight.x), device=sight.x.device) % 4 == 0
    a = sight.rng("eg").uniform()[:, None, None, None].to(x.dtype)
    r = x.roll(1, dims=0)  # theirs are shuffled; the next image will do
    gradient = input_gradient(sight.network, r + a * (x - r), lambda z: z.softmax(dim=1)[:, :4].sum(dim=1) * first)
    return (x - r) * gradient


def boundaries(sight: Sight) -> tuple[float, float]:
    """Of BIG's attack: the share of images that leave their class, and how far the farthest value has moved."""
    settings = build(load(["method=big"]).cfg.method, "method").keywords
    how = {name: settings[name] for name in ("alpha", "steps", "stop", "accumulate_grad")}
    end = attack(sight.network, sight.x, sight.target, **how).end
    with torch.no_grad():
        met = sight.network(end).argmax(dim=1) != sight.target
    return met.double().mean().item(), (end - sight.x).abs().max().item()


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
    turned, plain = sight.scores(-ranked, "element"), sight.scores(ranked, "element")
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


def against_probability(sight: Sight, objective: Objective) -> tuple[float, float]:
    """Cosine and ratio of lengths of the objective's gradient and that of p_t, means over images."""
    gradient, plain = (
        input_gradient(sight.network, sight.x, f).flatten(1).double() for f in (objective, probability(sight.target))
    )
    lengths = gradient.norm(dim=1), plain.norm(dim=1)
    cosine = (gradient * plain).sum(dim=1) / (lengths[0] * lengths[1]).clamp(min=1e-300)
    return cosine.mean().item(), (lengths[0] / lengths[1].clamp(min=1e-300)).mean().item()


def shown_at_a_third(maps: Images) -> float:
    """Share of pixels that `channel_union` has shown when each channel has had a third of its values."""
    tau, steps = reveal_index(maps, "channel_union", 1)
    return (tau < steps / 3).double().mean().item()


def mean_entropy(sight: Sight, sign: int, *, starts: int = 8, steps: int = 60, rate: float = 0.02) -> float:
    """Of the prediction for a constant image, after stepping its colour along sign * the gradient of S = sum log p."""
    size, rng = sight.x.shape[2], Rng(sight.seed, "contradictions", [""], sight.x.device)
    x = rng.uniform(starts, 3, 1, 1)[0].to(sight.x.dtype).expand(-1, -1, size, size)
    for _ in range(steps if sign else 0):
        gradient = input_gradient(sight.network, x, lambda z: z.log_softmax(dim=1).sum(dim=1))
        x = (x + sign * rate * gradient.sum(dim=(2, 3), keepdim=True).sign()).clamp(0, 1)
    with torch.no_grad():
        log_p = sight.network(x).log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).mean().item()


if __name__ == "__main__":
    command(__doc__, main)
