"""AII, Figure 3: does the map of a digit depend on which digit's probability is accumulated?

    python -m bench.studies.aii_fig3 data.limit=40 method=sm_signed,ig
    make aii-fig3 LIMIT=40 METHODS=sm_signed,ig

The paper shows the map of a digit once for each class whose probability is accumulated, and claims that they hardly differ.
Its classifier cannot be built again from the text; ours is the `unused` network of bench/studies/digits.py, to which the
patch means nothing, and the pictures are held-out digits without the patch.

Of every picture AII's path is walked with the settings of conf/method/aii.yaml, towards the classes that are not the
predicted one. Ten maps are made along that one path, which no class changes: what is accumulated is p_c of c = 0 … 9 in
turn, in place of AII's S. Likewise log p_c, whose sum over the classes is S; and S itself, AII's own map, is the eleventh.
Two maps are compared by Spearman's rank correlation over pixels, in two readings:

    signed      the sum over channels of A
    absolute    the sum over channels of |A|: which pixels are marked, whichever way they pull

The probabilities of all classes add up to 1, so that the ten maps of p_c add up to 0 at every value, on every network and
path: signed, they cannot all be alike, since the predicted class loses what the others gain. So the claim is read as one of
|A|. A correlation says little alone. Beside that of the ten classes' maps of one picture (mean over the 45 pairs) stand two
yardsticks: the maps of two different pictures, of one class (mean over the ten; every picture is in one pair, so that pairs
are independent), which share the network and the place of the digit; and the same two numbers of methods that explain one
class, told each class in turn (`method=`; sm_signed, the gradient of p_c, unless given). The class hardly matters if the
correlation is close to 1; and that is AII's doing rather than the network's only if it is well above that of the gradients.

A map that is the same everywhere ranks nothing: its picture counts as failed in that reading. Takes what `bench.run` takes,
but model= and data= (except data.limit, 40 unless given) mean nothing to it; method.KEY= are settings of AII and of all
the others. Needs scikit-learn: pip install "heatproof[digits]".
Cost: seconds to train; of a picture 21 maps along AII's path, 4,220 forward and 8,400 backward passes at most, and ten of
each other method.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from bench.cli import command
from bench.config import load
from bench.figures import tiles as mosaic
from bench.figures.heatmaps import overlay
from bench.images.source import Batch
from bench.networks.network import Network
from bench.report.document import Document
from bench.report.table import Entry, Table, columns, count
from bench.rng import Rng
from bench.running.attribution import attribute
from bench.running.job import Job
from bench.running.post import processed
from bench.running.runner import predict
from bench.studies import digits, study
from bench.studies.digits import Digits
from bench.types import Images, Objective, Targets
from methods.parts.gradient import log_probability, probability
from methods.parts.targeted import targeted_paths

IMAGES = 40  # unless data.limit says otherwise
METHODS = ("sm_signed",)
CLASSES = 10
PICTURED = 3  # pictures in the figure, two rows each
ACCUMULATED: Mapping[str, Callable[[Targets], Objective]] = {"p": probability, "log p": log_probability}
READINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "signed": lambda maps: maps.sum(dim=-3),
    "absolute": lambda maps: maps.abs().sum(dim=-3),
}
BETWEEN = {  # in the CSV: what the table calls it
    "classes": "ten classes of one picture",
    "pictures": "two pictures, one class",
    "own": "S and each class, one picture",
}


@dataclass(frozen=True)
class Family:
    """Ten jobs, one a class, whose maps are compared.  told: each explains its class; else all explain the prediction."""

    name: str
    jobs: list[Job]
    told: bool


def accumulating(
    model: nn.Module, x: Images, target: Targets, rng: Rng, *, of: Callable[[Targets], Objective], c: int, sign: int,
    post: tuple[str, ...], **path,
) -> Images:  # fmt: skip
    """AII with `of` class c in the place of S, whatever the target.  sign, path: as in conf/method/aii.yaml."""
    gain = targeted_paths(model, x, target, rng, lambda explained: of(torch.full_like(explained, c)), **path)
    return processed(sign * gain, post)


def families(aii: Job, others: list[Job], accumulated: Mapping[str, Callable] = ACCUMULATED) -> list[Family]:
    """One for each thing that is accumulated along the path of the first job, and one for each other method."""
    post = tuple(aii.config.cfg.method.get("post") or ())

    def of_class(of: Callable, c: int) -> Job:
        return replace(aii, method=partial(accumulating, of=of, c=c, post=post, **aii.method.keywords))

    along = [
        Family(f"AII, {name}", [of_class(of, c) for c in range(CLASSES)], False) for name, of in accumulated.items()
    ]
    return along + [Family(job.method_name, [job] * CLASSES, True) for job in others]


def cells(known: Digits, held_out: Digits, overrides: list[str]) -> tuple[Job, list[Job]]:
    """AII's job and those of the methods beside it, on a network that is trained here."""
    chosen, rest = study.listed([f"data.limit={IMAGES}", *overrides], "method", METHODS)
    network = digits.trained("unused", known, load(rest).cfg.run.seed)
    source = digits.Pictures(held_out.with_patch(False), "digit")
    aii, *others = digits.jobs("unused", network, source, ("aii", *chosen), rest)
    return aii, others


def explained(job: Job, batch: Batch, target: Targets) -> Tensor:
    """[n, 3, H, W] on the CPU; NaN where there is no map."""
    maps, facts = attribute(job, batch.x, target, batch.padded_ids, n=len(batch.ids))
    maps = maps[: len(batch.ids)].cpu()
    failed = torch.tensor([fact["status"] != "ok" for fact in facts])
    return maps.masked_fill(failed[:, None, None, None], torch.nan)


def ranked(values: np.ndarray) -> np.ndarray:
    """[…, N] -> ranks less their mean, of length 1, so that the product of two is Spearman's correlation; NaN if all are
    equal or one is NaN.
    """
    ranks = rankdata(values, axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(ranks, axis=-1, keepdims=True)
    return ranks / np.where(length > 0, length, np.nan)


def between_classes(ranks: np.ndarray) -> np.ndarray:
    """[n, C, N], of `ranked` -> [n]: the mean correlation of two classes' maps. Of unit vectors the products of all pairs
    add up to half of |sum|² less C.
    """
    n_classes = ranks.shape[1]
    return ((ranks.sum(axis=1) ** 2).sum(axis=1) - n_classes) / (n_classes * (n_classes - 1))


def between_pictures(ranks: np.ndarray) -> np.ndarray:
    """[n, C, N] -> [n // 2]: the mean correlation over the classes of the first picture with the second, the third with the
    fourth, and so on.
    """
    pairs = len(ranks) // 2
    return (ranks[: 2 * pairs : 2] * ranks[1 : 2 * pairs : 2]).sum(axis=2).mean(axis=1)


def measured(
    aii: Job, compared: list[Family]
) -> tuple[dict[tuple[str, str, str], np.ndarray], list[list[mosaic.Tile]]]:
    """{(maps, between, reading): correlations}, and the rows of the figure, which shows the first family."""
    ranks: dict[tuple[str, str], list[np.ndarray]] = {}
    rows: list[list[mosaic.Tile]] = []
    for batch in study.batches(aii):
        seen, target = predict(aii, batch, batch.x)
        made = {"S": explained(aii, batch, target)[:, None]}
        for family in compared:
            told = [torch.full_like(target, c) if family.told else target for c in range(CLASSES)]
            of_class = [explained(job, batch, t) for job, t in zip(family.jobs, told, strict=True)]
            made[family.name] = torch.stack(of_class, dim=1)
        for name, maps in made.items():
            for reading, read in READINGS.items():
                values = read(maps.double()).flatten(2).numpy()
                ranks.setdefault((name, reading), []).append(ranked(values).astype(np.float32))
        for i in range(min(len(batch.ids), PICTURED - len(rows) // len(READINGS))):
            says = f"{seen[i]['prediction']}, p {seen[i]['confidence']:.2f}"
            rows += pictured(batch.x[i].cpu(), torch.cat([made[compared[0].name][i], made["S"][i]]), says)
    whole = {key: np.concatenate(parts) for key, parts in ranks.items()}
    found = {}
    for family in compared:
        for reading in READINGS:
            of_family = whole[family.name, reading]
            found[family.name, "classes", reading] = between_classes(of_family)
            found[family.name, "pictures", reading] = between_pictures(of_family)
            if not family.told:
                found[family.name, "own", reading] = (of_family * whole["S", reading]).sum(axis=2).mean(axis=1)
    return found, rows


def pictured(x: Tensor, maps: Tensor, says: str) -> list[list[mosaic.Tile]]:
    """Two rows: the maps of ten classes and S [11, 3, H, W] as they are, and their magnitudes, each to its own scale."""
    largest = maps.abs().amax(dim=(1, 2, 3), keepdim=True)
    maps = maps / largest.where(largest > 0, 1)  # p may be tiny, and what colours it divides by at least 1e-8
    names = [*(f"p({c})" for c in range(CLASSES)), "S"]
    rows = []
    for of_reading, words, title in ((maps, "{}", says), (maps.abs(), "|A| of {}", "")):
        tiles = [
            mosaic.Tile(overlay(x.numpy(), a.numpy()), words.format(name))
            for a, name in zip(of_reading, names, strict=True)
        ]
        rows.append([mosaic.Tile(x.numpy().transpose(1, 2, 0), title), *tiles])
    return rows


def main(arguments: list[str]) -> None:
    study.write(*make(arguments))


def make(overrides: list[str]) -> tuple[Document, study.Draw, Path]:
    overrides = digits.own(overrides, "aii_fig3")
    known, held_out = digits.digits(load(study.listed(overrides, "method", ())[1]).cfg.run.seed)
    aii, others = cells(known, held_out, overrides)
    compared = families(aii, others)
    title = "AII, Figure 3: one path, ten classes"
    along = 1 + CLASSES * len(ACCUMULATED)
    parts = [(aii, along * len(aii.ids)), *((job, CLASSES * len(job.ids)) for job in others)]
    study.announce(title, parts)

    values, rows = measured(aii, compared)
    draws = aii.config.cfg.report.bootstrap
    numbers = pd.DataFrame([
        {"figure": "aii_fig3", "maps": maps, "between": between, "reading": reading}
        | study.average(correlations, draws)
        for (maps, between, reading), correlations in values.items()
    ])  # fmt: skip
    counted = f"scikit-learn's digits, {len(aii.ids)} held-out ones without the patch"
    facts = digits.facts([aii], counted, "aii_fig3", overrides)
    facts += [
        f"The network is right about {accuracy(aii.network, held_out.with_patch(False)):.1%} of {digits.HELD_OUT} held-out "
        "digits without the patch.",
        "Claim: the map of a digit hardly depends on which digit's probability is accumulated along AII's path.",
        "Compared are Spearman's rank correlations of two maps by pixel. Signed: of the sum over channels of A. Absolute: "
        "of the sum over channels of |A|. The ten maps of p add up to 0 on any network: their signed maps cannot all be "
        "alike, and the claim can only be one about |A|.",
        "`AII, p` and `AII, log p`: along AII's path, with a class's probability or its logarithm in place of S. Others: "
        "the method, told each class. Ten classes of one picture: mean over the 45 pairs. Two pictures: mean over the "
        "classes, every picture in one pair.",
    ]
    caption = (
        f"The first {len(rows) // 2} pictures and what the network says; then AII's path with p of each class "
        "accumulated, and with S. Upper rows: A; lower rows: |A|. Maps: mean over channels, clipped to the 80th "
        "and 99th percentile."
    )
    picture = partial(mosaic.write, rows=rows, caption=caption)
    return Document("aii_fig3", title, numbers, [table_of(numbers)], facts), picture, aii.results


@torch.no_grad()
def accuracy(network: Network, part: Digits) -> float:
    parameter = next(network.parameters())
    logits = network(part.x.to(parameter.device, parameter.dtype))
    return (logits.argmax(dim=1).cpu() == part.digit).double().mean().item()


def table_of(numbers: pd.DataFrame) -> Table:
    rows = []
    for (maps, between), part in numbers.groupby(["maps", "between"], sort=False):
        values = {line["reading"]: line for line in part.to_dict("records")}
        shown = [study.shown(values[reading]) for reading in READINGS]
        rows.append([Entry(maps), Entry(BETWEEN[between]), *shown, count(values["absolute"])])
    return Table("digits", columns("Maps", "Between", *READINGS, "n"), rows)


if __name__ == "__main__":
    command(__doc__, main)
