"""LA (MM 2024), Figure 2: does an attacked image lose its class after two steps, and is it still like other images?

    python -m bench.studies.la_fig2 model=resnet50,vgg16 data=la_release data.root=DIR data.limit=100
    make la-fig2 MODELS=resnet50,vgg16 DATA=la_release ROOT=DIR LIMIT=100

The paper shows the probability of the class against the iterations of an attack, without numbers or the network's name,
and claims that the class is lost after about two and the image is out of distribution from then on; LA stays in a local
space instead. Here four paths of 20 steps set out from every image, all along signs and clipped to [0, 1]:

    mfaba    x_{k+1} = x_k - 0.001 sign grad p_c(x_k)      MFABA's walk, which here does not stop
    agi      x_{k+1} = x + 0.05 sign grad p_t(x_k)         AGI's steps, towards the first t of its list, without a stop
    la       x_{k+1} = x - (x / 20) sign grad p_c(x_k)     LA's own untargeted run, within its local space
    random   x_{k+1} = x + 0.05 random signs               a control: as far as agi, but nowhere

(The steps are those of conf/method/. Gradients are of log p, whose sign is the same.) Along each path: the mean probability
of the class c; the share of images whose largest logit is no longer c's; and two OOD shares: images whose largest softmax
probability (Hendrycks & Gimpel, ICLR 2017, https://arxiv.org/abs/1610.02136), or whose log sum exp of the logits, the
negative energy (Liu et al., NeurIPS 2020, https://arxiv.org/abs/2010.03759), is below the 5 % quantile of the same images
as they were. Both only say how such detectors see an image; and the first calls an attack that makes the network sure of
another class in distribution again.
Takes what `bench.run` takes; without anything, the tiny network on 64 drawn images. `method=` chooses paths.
Cost of an image: 85 forward and 60 backward passes; of each path 20 and 20 (the control: 20 and none), and 1 forward.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.figures import lines as plots
from bench.report.document import Document
from bench.report.exhibits.exhibit import Figure
from bench.report.table import Entry, Table, columns
from bench.rng import Rng
from bench.running.job import Job
from bench.running.runner import predict
from bench.studies import study
from bench.types import Images, Objective, PerImage, Targets
from methods.parts.classes import explored_classes, other_than
from methods.parts.gradient import at, gradients, log_probability

IMAGES = 64  # unless data.limit says otherwise
STEPS = 20  # as AGI's and LA's
SHOWN = (1, 2, 3, 5, 10, 20)  # in the table; the CSV has every step
QUANTILE = 0.05
TICKS = tuple(str(k) if k % 5 == 0 else "" for k in range(STEPS + 1))
PATHS = ("mfaba", "agi", "la", "random")
QUANTITIES = {  # in the CSV: what the table and the picture call it
    "probability": "Probability of the class",
    "lost": "Class lost",
    "unsure": "OOD: largest softmax",
    "energy": "OOD: energy",
}


@dataclass(frozen=True)
class Walk:
    """Steps along the sign of the gradient of `climbs`, or of random signs if that is None."""

    climbs: Objective | None
    move: Callable[[Images, Tensor], Images]  # from a point, along signs


def paths(x: Images, target: Targets, rng: Rng, classes: int) -> dict[str, Walk]:
    """The four of the module's docstring, with the settings of their methods.  classes: how many the network has."""
    mfaba, agi, la = (load([f"method={name}"]).cfg.method for name in ("mfaba", "agi", "la"))
    first = explored_classes(rng.named("agi"), agi.classes, agi.n_classes, classes)[0]
    ours, other = log_probability(target), log_probability(other_than(target, first, classes))
    return {
        "mfaba": Walk(ours, lambda point, s: (point - mfaba.alpha * s).clamp(x - mfaba.box, x + mfaba.box).clamp(0, 1)),
        "agi": Walk(other, lambda _, s: (x + agi.epsilon * s).clamp(0, 1)),
        "la": Walk(ours, lambda _, s: (x - la.step * x / la.spatial_range * s).clamp(0, 1)),
        "random": Walk(None, lambda _, s: (x + agi.epsilon * s).clamp(0, 1)),
    }


def readings(model: nn.Module, x: Images, target: Targets, rng: Rng, *, names: tuple[str, ...], steps: int) -> Tensor:
    """[B, paths, steps + 1, 4]: p_c, 1 where the class is lost, the largest probability, log sum exp of the logits."""
    with torch.no_grad():
        classes = model(x).shape[1]
    known = paths(x, target, rng, classes)
    return torch.stack([walk(model, x, target, known[name], of_path(rng, name), steps) for name in names], dim=1)


def of_path(rng: Rng, name: str) -> Rng:
    """A stream of its own, so that no path depends on which others are walked."""
    return rng.named(f"la_fig2 {name}")


def walk(model: nn.Module, x: Images, target: Targets, path: Walk, rng: Rng, steps: int) -> Tensor:
    """[B, steps + 1, 4] along one path, the clean image first."""
    read, point = [], x
    for k in range(steps + 1):
        if path.climbs is None or k == steps:
            with torch.no_grad():
                logits = model(point)
            signs = 2.0 * rng.integers(2, *x.shape[1:]).to(x.dtype) - 1
        else:
            logits, (direction,) = gradients(model, point, [path.climbs])
            signs = direction.sign()
        read.append(torch.stack(of_logits(logits.double(), target), dim=1))
        point = path.move(point, signs)
    return torch.stack(read, dim=1)


def of_logits(logits: Tensor, target: Targets) -> list[PerImage]:
    p = logits.softmax(dim=1)
    lost = (logits.argmax(dim=1) != target).double()
    return [at(p, target), lost + 0 * p.sum(dim=1), p.amax(dim=1), logits.logsumexp(dim=1)]  # NaN stays NaN


def out_of_distribution(scores: np.ndarray) -> np.ndarray:
    """[n, paths, S] -> 1 where a score is below the clean images' 5 % quantile, 0 elsewhere.

    The quantile is the highest clean score that at most 5 % of the clean ones are below, the lowest one for n < 21; so
    at most 5 % of the images begin out of distribution. The interval takes it as known.
    """
    clean = scores[:, 0, 0]
    known = clean[~np.isnan(clean)]
    limit = np.quantile(known, QUANTILE, method="lower") if len(known) else np.nan
    return np.where(np.isnan(scores), np.nan, scores < limit)


def measured(job: Job, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """{quantity: [n, paths, S]} of all images."""
    found = []
    for batch in study.batches(job):
        target = predict(job, batch, batch.x)[1]
        rng = job.rng(batch.padded_ids, batch.x.device).named("la_fig2")
        found.append(job.method(job.network, batch.x, target, rng)[: len(batch.ids)].cpu())
    if not found:
        raise UserError("None of the images can be read.")
    p, lost, confidence, energy = torch.cat(found).numpy().transpose(3, 0, 1, 2)
    values = (p, lost, out_of_distribution(confidence), out_of_distribution(energy))
    return dict(zip(QUANTITIES, values, strict=True))


def main(arguments: list[str]) -> None:
    study.write(*make(arguments))


def make(overrides: list[str]) -> tuple[Document, study.Draw, Path]:
    chosen, rest = study.listed(overrides, "method", PATHS)
    if strange := set(chosen) - set(PATHS):
        raise UserError(f"method={','.join(sorted(strange))}: la_fig2 has the paths {', '.join(PATHS)}.")
    opened = [of_model[0] for of_model in study.cells([f"data.limit={IMAGES}", *rest], ("random",))]
    opened = [replace(job, method=partial(readings, names=chosen, steps=STEPS)) for job in opened]
    title = "LA, Figure 2: an attacked image, step by step"
    study.announce(title, [(job, len(job.ids)) for job in opened])

    draws, lines, tables = opened[0].config.cfg.report.bootstrap, [], []
    for job in opened:
        names, values = job.config.names, measured(job, chosen)
        of_cell = [
            {"figure": "la_fig2", "data": names["data"], "model": names["model"], "path": path, "step": k}
            | {"quantity": quantity, **study.average(array[:, i, k], draws)}
            for i, path in enumerate(chosen)
            for quantity, array in values.items()
            for k in range(STEPS + 1)
        ]
        lines += of_cell
        tables.append(table_of(pd.DataFrame(of_cell), values["lost"], chosen))
    numbers = pd.DataFrame(lines)
    counted = f"{opened[0].config.names['data']}, {numbers['n'].max()} images"
    facts = study.facts(opened, counted, "la_fig2", overrides)
    facts += [
        "Claim: the class is lost after about two steps, and the image is out of distribution from then on.",
        "Paths: mfaba, MFABA's walk of 0.001 a step; agi, 0.05 from the clean image towards a false class; la, LA's own "
        "untargeted run, x / 20 from the clean image; random, a control, 0.05 from the clean image along random signs. None "
        "of them stops.",
        "OOD: the largest softmax probability, or the log sum exp of the logits (the negative energy), is below the 5 % "
        "quantile of the clean images. An image of which the network is as sure as ever, if of another class, is not OOD.",
    ]
    drawn, styles = panels(numbers)
    pictures = tuple((panel.title, plots.svg(f"la_fig2-{k}", panel, styles)) for k, panel in enumerate(drawn))
    figure = Figure(title, svg=pictures, legend=tuple((index, name) for name, index in styles.items()))
    document = Document("la_fig2", title, numbers, tables, facts, figures=[figure])
    return document, partial(plots.write, panels=drawn, styles=styles), opened[0].results


def table_of(numbers: pd.DataFrame, lost: np.ndarray, chosen: tuple[str, ...]) -> Table:
    """One network's: a row for each path and shown step.  lost: [n, paths, S]."""
    keyed = {(line["path"], line["step"], line["quantity"]): line for line in numbers.to_dict("records")}
    rows = []
    for path, k in [("clean", 0), *((path, k) for path in chosen for k in SHOWN)]:
        cells = [keyed[chosen[0] if path == "clean" else path, k, quantity] for quantity in QUANTITIES]
        name = path if path == "clean" else f"{path}, k = {k}"
        rows.append([Entry(name), *map(study.shown, cells), Entry(str(cells[0]["n"]))])
    first = numbers.iloc[0]
    below = [said(path, lost[:, i]) for i, path in enumerate(chosen)]
    return Table(
        f"{first['model']} · {first['data']}",
        columns("Path", *QUANTITIES.values(), "n"),
        rows,
        below=below,
    )


def said(path: str, lost: np.ndarray) -> str:
    """When images lose their class.  lost: [n, S], 1 where it is lost."""
    share = (np.maximum.accumulate(lost, axis=1) > 0).mean(axis=0)  # of images that have lost it at k or before
    half = np.flatnonzero(share >= 0.5)
    by = f"{share[2]:.0%} of the images have lost their class at least once by step 2, {share[-1]:.0%} by the last"
    return f"{path}: {by}" + (f"; half of them by step {half[0]}." if len(half) else ".")


def panels(numbers: pd.DataFrame) -> tuple[list[plots.Panel], dict[str, int]]:
    """A panel a quantity, a line a path, on each network; and {line: its index of style}."""
    several = numbers["model"].nunique() > 1
    found = []
    for quantity, title in QUANTITIES.items():
        of_panel = numbers[numbers["quantity"] == quantity]
        lines = []
        for (model, path), part in of_panel.groupby(["model", "path"], sort=False):
            columns = (part[key].to_numpy(dtype=float) for key in ("step", "mean", "ci_low", "ci_high"))
            lines.append(plots.Line(f"{path}, {model}" if several else path, *columns))
        kind = "mean" if quantity == "probability" else "share of images"
        found.append(plots.Panel(title, "step k", kind, lines, ticks=TICKS, floor=-0.02, ceiling=1.02))
    names = dict.fromkeys(line.name for panel in found for line in panel.lines)
    return found, {name: i for i, name in enumerate(names)}


if __name__ == "__main__":
    command(__doc__, main)
