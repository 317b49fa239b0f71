"""AII, Figure 2: extra information. Does a map show a patch that is used, and leave out one that is not?

    python -m bench.studies.aii_fig2 data.limit=40 method=aii,ig,sm
    make aii-fig2 LIMIT=40 METHODS=aii,ig,sm

The paper shows digits with a grid in a corner, on a classifier of which too little is said to build it again; it claims that
AII's maps hold information which maps of one class lack. Ours is made so that the answer is known (bench/digits.py): two
networks of one kind are trained on scikit-learn's digits with a chequerboard in a corner, which decides between 1 and 7 for
the first network and means nothing to the second. The report says how far they use it: their accuracy with it and without
it, and how often the prediction changes when it is taken away. Both then explain the same pictures, held-out 1s and 7s with
the patch, and measured is the share of |A| that lies on the patch: it should be large where the patch decides and small
where it does not. A map that knows nothing has 0.0625 on it, the patch's share of the picture, on both.
Of AII's claim this judges one thing: whether a method that explains no class shows a patch that decides one.
Takes what `bench.run` takes, but model= and data= (except data.limit, 40 unless given) mean nothing to it. Needs
scikit-learn: pip install "heatproof[digits]".
Cost: seconds to train; of a picture two maps of each method, some 3,600 forward and 5,800 backward passes for METHODS.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from bench.cli import command
from bench.config import load
from bench.figures import tiles as mosaic
from bench.figures.heatmaps import overlay
from bench.networks.network import Network
from bench.report.document import Document
from bench.report.table import Entry, Table, columns, count
from bench.running.attribution import attribute
from bench.running.job import Job
from bench.running.runner import predict
from bench.studies import digits, study
from bench.studies.digits import PAIR, PATCH, SIZE, Digits

IMAGES = 40  # unless data.limit says otherwise
METHODS = ("attexplore", "aii", "agi", "la", "ig", "sm", "random")
PICTURED = 2  # pictures in the figure, each with both networks
CHANCE = PATCH**2 / SIZE**2
COLUMNS = {"used": "on the patch, used", "unused": "not used", "difference": "difference"}


def cells(overrides: list[str], networks: Mapping[str, Network], pictures: Digits) -> dict[str, list[Job]]:
    """{kind of network: a job for each method}."""
    chosen, rest = study.listed([f"data.limit={IMAGES}", *overrides], "method", METHODS)
    source = digits.Pictures(pictures, "digit")
    return {kind: digits.jobs(kind, network, source, chosen, rest) for kind, network in networks.items()}


def on_patch(maps: Tensor) -> Tensor:
    """[B, 3, H, W] -> [B]: share of |A| on the patch; NaN where the map is zero everywhere."""
    total = maps.double().abs().sum(dim=(1, 2, 3))
    share = maps[:, :, :PATCH, :PATCH].double().abs().sum(dim=(1, 2, 3)) / total.where(total > 0, 1)
    return share.masked_fill(total == 0, torch.nan)


def measured(kind: str, cells: list[Job]) -> tuple[pd.DataFrame, list[list[mosaic.Tile]]]:
    """Of one network: a line for each picture and method (id, method, share), and the rows of the figure."""
    lines, tiles = [], {}
    for batch in study.batches(cells[0]):
        seen, target = predict(cells[0], batch, batch.x)
        for i, id in enumerate(batch.ids[: PICTURED - len(tiles)]):
            says = f"{'used' if kind == 'used' else 'not used'}: {seen[i]['prediction']}, p {seen[i]['confidence']:.2f}"
            tiles[id] = [mosaic.Tile(batch.x[i].cpu().numpy().transpose(1, 2, 0), says, (0, 0, PATCH, PATCH))]
        for job in cells:
            maps, facts = attribute(job, batch.x, target, batch.padded_ids, n=len(batch.ids))
            share = on_patch(maps).tolist()
            for i, (id, fact) in enumerate(zip(batch.ids, facts, strict=True)):
                value = share[i] if fact["status"] == "ok" else float("nan")
                lines.append({"id": id, "method": job.method_name, "share": value})
                if id in tiles:
                    painted = overlay(batch.x[i].cpu().numpy(), maps[i].cpu().numpy())
                    tiles[id].append(mosaic.Tile(painted, f"{job.method_name} {value:.2f}", (0, 0, PATCH, PATCH)))
    return pd.DataFrame(lines), list(tiles.values())


@torch.no_grad()
def use(kind: str, network: Network, held_out: Digits, pictures: Digits) -> dict[str, float]:
    """How far a network uses the patch.  pictures: those that are explained, all with it."""
    with_it, without = (held_out.with_patch(there) for there in (True, False))
    accuracy = [(network(d.x).argmax(dim=1) == d.label(kind)).double().mean().item() for d in (with_it, without)]
    p, bare = (network(d.x).softmax(dim=1) for d in (pictures, pictures.with_patch(False)))
    changed = (p.argmax(dim=1) != bare.argmax(dim=1)).double().mean().item()
    return {"with": accuracy[0], "without": accuracy[1], "changed": changed}


def main(arguments: list[str]) -> None:
    study.write(*make(arguments))


def make(overrides: list[str]) -> tuple[Document, study.Draw, Path]:
    overrides = digits.own(overrides, "aii_fig2")
    cfg = load(study.listed(overrides, "method", ())[1]).cfg
    known, held_out = digits.digits(cfg.run.seed)
    pictures = held_out.where(torch.isin(held_out.digit, torch.tensor(PAIR))).with_patch(True)
    networks = {kind: digits.trained(kind, known, cfg.run.seed) for kind in digits.KINDS}
    uses = {kind: use(kind, network, held_out, pictures) for kind, network in networks.items()}
    by_kind = cells(overrides, networks, pictures)
    title = "AII, Figure 2: extra information, a patch on digits"
    study.announce(title, [(job, len(job.ids)) for of_kind in by_kind.values() for job in of_kind])

    tables, rows = {}, []
    for kind, of_kind in by_kind.items():
        tables[kind], pictured = measured(kind, of_kind)
        rows.append(pictured)
    numbers = compared(tables, cfg.report.bootstrap)
    opened = [of_kind[0] for of_kind in by_kind.values()]
    counted = f"scikit-learn's digits, {len(opened[0].ids)} held-out 1s and 7s with the patch"
    facts = digits.facts(opened, counted, "aii_fig2", overrides)
    facts += [
        *(said(kind, values, len(pictures.x)) for kind, values in uses.items()),
        "Measured is the share of |A| that lies on the patch. Both networks explain the same pictures. A map that shows "
        f"what its network uses has much there where the patch decides, little where it does not; one that knows nothing "
        f"has {CHANCE:.4f} on both.",
    ]
    caption = (
        f"The first {PICTURED} pictures, explained by the network that uses the patch and by the one that does not: what it "
        "says, and each method's map with its share of |A| on the patch (framed). Maps: mean over channels, clipped to the "
        "80th and 99th percentile."
    )
    in_turn = [row for picture in zip(*rows, strict=True) for row in picture]
    picture = partial(mosaic.write, rows=in_turn, caption=caption)
    document = Document("aii_fig2", title, numbers, [table_of(numbers)], facts)
    return document, picture, opened[0].results


def compared(tables: dict[str, pd.DataFrame], draws: int) -> pd.DataFrame:
    """Means of either network and of the difference, picture by picture."""
    both = tables["used"].merge(tables["unused"], on=["id", "method"], suffixes=("_used", "_unused"), sort=False)
    both["share_difference"] = both["share_used"] - both["share_unused"]
    return pd.DataFrame([
        {"figure": "aii_fig2", "method": method, "patch": column}
        | study.average(part[f"share_{column}"].to_numpy(), draws)
        for method, part in both.groupby("method", sort=False)
        for column in COLUMNS
    ])  # fmt: skip


def table_of(numbers: pd.DataFrame) -> Table:
    rows = []
    for method, part in numbers.groupby("method", sort=False):
        values = {line["patch"]: line for line in part.to_dict("records")}
        shown = [study.shown(values[column]) for column in COLUMNS]
        verdict = Entry("yes" if values["difference"]["ci_low"] > 0 else "no")
        rows.append([Entry(method), *shown, verdict, count(part.iloc[-1])])
    below = ["Told: more on the patch where it is used, beyond the difference's interval."]
    return Table("digits", columns("Method", *COLUMNS.values(), "told", "n"), rows, below=below)


def said(kind: str, use: dict[str, float], n: int) -> str:
    """What is known of a network."""
    means = f"the patch decides between {PAIR[0]} and {PAIR[1]}" if kind == "used" else "the patch means nothing"
    return (
        f"`{kind}`: {means}. Of {digits.HELD_OUT} held-out digits {use['with']:.1%} are right if all carry the patch, "
        f"{use['without']:.1%} if none does. Taking it off the {n} 1s and 7s changes {use['changed']:.1%} of predictions."
    )


if __name__ == "__main__":
    command(__doc__, main)
