"""AII, Figure 1: two objects in one picture. Which of them does a method see?

    python -m bench.studies.aii_fig1 model=resnet50 data=folder data.root=DIR data.limit=200 method=attexplore,aii
    make aii-fig1 MODELS=resnet50 DATA=folder ROOT=DIR LIMIT=200 METHODS=attexplore,aii

The paper shows one photograph of a cat and a dog, p(dog) = 0.53, and claims that AttEXplore, told to explain one class,
sees only that animal, and AII, which explains no class, sees both. Ours runs on any images: two of them that the network
gives different classes (run.target=label: that have different labels) stand side by side, each the middle half of its
columns; pairs are drawn from run.seed and use every image once. Every method explains either class in turn. Measured is
the share of the positive attribution (channels summed, as in metrics/localisation.py) that lies in the half of the
explained class, once where that is the class that the network thinks likelier of the two, once where it is the other; and
the share in whichever half has less, 0 for a map of one object, 0.5 for a map of two. A map that knows nothing has 0.5
throughout. AII is told a class too, but only walks towards others than that one.
Takes what `bench.run` takes; without anything, the tiny network on 32 drawn images: 16 pictures.
Cost of a picture: two maps of each method, some 3,600 forward and 5,800 backward passes for the seven of METHODS.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bench.cli import command
from bench.errors import UserError
from bench.figures import tiles as mosaic
from bench.figures.heatmaps import overlay
from bench.images.source import ImageError
from bench.report.document import Document
from bench.report.table import NOTHING, Entry, Table, columns, count
from bench.rng import lots
from bench.running.attribution import attribute
from bench.running.job import Job
from bench.running.runner import predict
from bench.studies import study
from methods.parts.gradient import at
from metrics.localisation import mass

IMAGES = 32  # unless data.limit says otherwise
METHODS = ("attexplore", "aii", "agi", "la", "ig", "sm", "random")
PICTURED = 3  # composites in the figure
TOP = 5  # classes that the network is said to see
QUANTITIES = {  # in the CSV: what the table calls it
    "likelier": "target's half, the likelier class",
    "other": "target's half, the other class",
    "weaker": "half with less",
}


@dataclass(frozen=True)
class Image:
    id: str
    target: int  # the class it is there for


@dataclass
class Composites:
    """A batch of pictures, [width, …]; only the first n count."""

    ids: list[str]  # width
    n: int
    x: Tensor  # [width, 3, H, W]
    targets: Tensor  # [2, width]: of the left and of the right half
    p: Tensor  # [2, width]: their probabilities
    seen: Tensor  # bool [width]: both among the five most probable


def classes(job: Job) -> list[Image]:
    """Every image and its class."""
    found = []
    for batch in study.batches(job):
        target = predict(job, batch, batch.x)[1].tolist()
        found += [Image(id, t) for id, t in zip(batch.ids, target, strict=False)]
    return found


def pairs(images: list[Image], seed: int) -> list[tuple[Image, Image]]:
    """In an order drawn from the seed, each image with the next one that is left and of another class."""
    drawn = lots(seed, "aii_fig1", [image.id for image in images])
    waiting, found = [], []
    for _, image in sorted(zip(drawn, images, strict=True), key=lambda lot: (lot[0], lot[1].id)):
        mate = next((other for other in waiting if other.target != image.target), None)
        if mate:
            waiting.remove(mate)
            found.append((mate, image))
        else:
            waiting.append(image)
    return found


def side_by_side(left: Tensor, right: Tensor) -> Tensor:
    """[3, H, W] twice -> [3, H, W]: of each the middle half of its columns."""
    width = left.shape[2]
    parts = [(left, width // 2), (right, width - width // 2)]
    return torch.cat([image[:, :, (width - part) // 2 :][:, :, :part] for image, part in parts], dim=2)


def composites(job: Job, found: list[tuple[Image, Image]]) -> Iterator[Composites]:
    """In batches that are always full: a short one repeats its last picture."""
    width = job.compute.batch_size
    for start in range(0, len(found), width):
        part = found[start : start + width]
        n = len(part)
        part = part + part[-1:] * (width - n)
        try:
            halves = [[job.source.load(image.id).pixels for image in pair] for pair in part]
        except ImageError as error:
            raise UserError(f"{error}; it could be read a moment ago.") from error
        x = job.compute.place(torch.stack([side_by_side(*pair) for pair in halves]))
        targets = torch.tensor([[image.target for image in pair] for pair in part], device=x.device).T
        with torch.no_grad():
            p = job.network(x).softmax(dim=1)
        best = p.topk(min(TOP, p.shape[1]), dim=1).indices
        seen = (best[None] == targets[..., None]).any(dim=2).all(dim=0)
        both = torch.stack([at(p, target) for target in targets])
        yield Composites([f"{a.id}+{b.id}" for a, b in part], n, x, targets, both, seen)


def left_share(maps: Tensor) -> Tensor:
    """[B, 3, H, W] -> [B]: share of the positive attribution in the left half; NaN where nothing is positive."""
    heat = maps.sum(dim=1)
    left = torch.zeros_like(heat, dtype=torch.bool)
    left[:, :, : heat.shape[2] // 2] = True
    share = mass(heat.flatten(1), left.flatten(1), torch.ones_like(left.flatten(1)))
    return share.masked_fill(heat.flatten(1).amax(dim=1) <= 0, torch.nan)


def judged(share: Tensor, p: Tensor) -> dict[str, Tensor]:
    """share: [2, B] of the left half, for the left and the right class; p: [2, B] theirs. {quantity: [B]}."""
    own = torch.stack([share[0], 1 - share[1]])  # in the target's half
    likelier = (p[1] > p[0]).long()[None]
    pick = partial(own.gather, 0)
    return {
        "likelier": pick(likelier)[0],
        "other": pick(1 - likelier)[0],
        "weaker": torch.minimum(share, 1 - share).mean(dim=0),
    }


def measured(cells: list[Job], found: list[tuple[Image, Image]]) -> tuple[pd.DataFrame, list[list[mosaic.Tile]]]:
    """A line for each picture and method (id, seen, method, each of QUANTITIES), and the rows of the figure."""
    lines, tiles, done = [], {}, 0
    for batch in composites(cells[0], found):
        pictured = range(min(batch.n, PICTURED - done))
        tiles |= {(done + i, side): [clean(batch, i, side)] for i in pictured for side in (0, 1)}
        for job in cells:
            shares = []
            for side, target in enumerate(batch.targets):
                maps, facts = attribute(job, batch.x, target, batch.ids, n=batch.n)
                share = left_share(maps).cpu()
                share[: batch.n][[fact["status"] != "ok" for fact in facts]] = torch.nan
                shares.append(share)
                for i in pictured:
                    painted = overlay(batch.x[i].cpu().numpy(), maps[i].cpu().numpy())
                    own = abs(side - share[i].item())
                    tiles[done + i, side].append(
                        mosaic.Tile(painted, f"{job.method_name} {own:.2f}", half(painted, side))
                    )
            numbers = judged(torch.stack(shares), batch.p.cpu())
            for i in range(batch.n):
                line = {"id": batch.ids[i], "seen": bool(batch.seen[i]), "method": job.method_name}
                lines.append(line | {name: values[i].item() for name, values in numbers.items()})
        done += batch.n
    return pd.DataFrame(lines), list(tiles.values())


def clean(batch: Composites, i: int, side: int) -> mosaic.Tile:
    picture = batch.x[i].cpu().numpy().transpose(1, 2, 0)
    return mosaic.Tile(picture, f"class {batch.targets[side, i]}, p {batch.p[side, i]:.2f}", half(picture, side))


def half(picture: np.ndarray, side: int) -> tuple[int, int, int, int]:
    """The frame of the left (0) or right (1) half."""
    height, width = picture.shape[:2]
    return (0, 0, width // 2, height) if side == 0 else (width // 2, 0, width - width // 2, height)


def main(arguments: list[str]) -> None:
    study.write(*make(arguments))


def make(overrides: list[str]) -> tuple[Document, study.Draw, Path]:
    by_network = study.cells([f"data.limit={IMAGES}", *overrides], METHODS)
    title = "AII, Figure 1: two objects in one picture"
    found = {}
    for cells in by_network:
        model, seed = cells[0].config.names["model"], cells[0].seeds.images
        found[model] = pairs(classes(cells[0]), seed)
        if not found[model]:
            raise UserError(f"{model} gives all of these images one class; composites need two. Raise data.limit.")
    study.announce(title, [(job, 2 * len(found[job.config.names["model"]])) for cells in by_network for job in cells])

    lines, tables, rows = [], [], []
    draws = by_network[0][0].config.cfg.report.bootstrap
    for cells in by_network:
        names = cells[0].config.names
        table, pictured = measured(cells, found[names["model"]])
        rows += pictured
        for subset, part in (("all", table), ("both seen", table[table["seen"]])):
            of_table = [
                {"figure": "aii_fig1", "data": names["data"], "model": names["model"], "composites": subset}
                | {"method": method, "quantity": quantity, **study.average(of_method[quantity].to_numpy(), draws)}
                for method, of_method in part.groupby("method", sort=False)
                for quantity in QUANTITIES
            ]
            lines += of_table
            if of_table:
                tables.append(table_of(pd.DataFrame(of_table), table))
    numbers = pd.DataFrame(lines)
    opened = [cells[0] for cells in by_network]
    facts = study.facts(opened, data(opened, found), "aii_fig1", overrides)
    facts += [
        "Claim: told to explain one of two objects, AttEXplore sees only that one; AII, which explains no class, sees both.",
        "Composites: two images of different classes, of each the middle half of its columns. Every method explains either "
        "class in turn.",
        "Target's half: share of the positive attribution in the half of the explained class, where that is the likelier of "
        "the two and where it is the other. Half with less: share in the half that has less, 0 for a map of one object, 0.5 "
        "for a map of both. A map that knows nothing has 0.5 throughout.",
        "Follows: the half that has more than 0.5, beyond the interval. `the target` whichever class that is; `the likelier "
        "class` also when the other is explained; – where neither.",
    ]
    caption = (
        f"The first {PICTURED} composites{' of each network' if len(by_network) > 1 else ''}, each explained for its "
        "left and for its right class. Framed: the half of that class; numbers: the share of positive attribution in it. "
        "Maps as in the demo: mean over channels, clipped to the 80th and 99th percentile."
    )
    picture = partial(mosaic.write, rows=rows, caption=caption)
    notes = [
        "Positive values that are mere noise lie in both halves alike and pull a share towards 0.5, most in maps that are "
        "never negative (attexplore, sm): 0.5 alone is not yet two objects seen."
    ]
    document = Document("aii_fig1", title, numbers, tables, facts, notes)
    return document, picture, opened[0].results


def data(opened: list[Job], found: dict[str, list]) -> str:
    counts = ", ".join(str(n) for n in dict.fromkeys(map(len, found.values())))
    return f"{opened[0].config.names['data']}, {counts} composites of {len(opened[0].ids)} images"


def table_of(numbers: pd.DataFrame, table: pd.DataFrame) -> Table:
    """One network's, of all composites or of those whose classes the network sees."""
    first, rows = numbers.iloc[0], []
    for method, part in numbers.groupby("method", sort=False):
        values = {line["quantity"]: line for line in part.to_dict("records")}
        cells = [study.shown(values[quantity]) for quantity in QUANTITIES]
        rows.append([Entry(method), *cells, Entry(follows(values)), count(part.iloc[0])])
    pictures = table.drop_duplicates("id")
    below = [
        f"Both classes are among the network's {TOP} most probable in {pictures['seen'].sum()} of {len(pictures)}."
    ]
    which = "all composites" if first["composites"] == "all" else f"composites with both classes in the first {TOP}"
    title = f"{first['model']} · {first['data']} · {which}"
    return Table(title, columns("Method", *QUANTITIES.values(), "follows", "n"), rows, below=below)


def follows(values: dict[str, dict]) -> str:
    """What the map's weight follows, as far as the intervals tell."""
    likelier, other = values["likelier"], values["other"]
    if likelier["ci_low"] > 0.5 and other["ci_low"] > 0.5:
        return "the target"
    if likelier["ci_low"] > 0.5 and other["ci_high"] < 0.5:
        return "the likelier class"
    return NOTHING


if __name__ == "__main__":
    command(__doc__, main)
