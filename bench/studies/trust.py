"""How far rankings, and the claims that rest on them, depend on what a score's design leaves open.

    make trust MODELS=efficientnet_lite0 DATA=la_release ROOT=DIR LIMIT=16
    python -m bench.studies.trust data.root=DIR      of rows that are there; computes nothing

Reads the rows of `experiment=trust` (conf/experiment/trust.yaml) and ranks its methods once for each variant of the score:

    baseline     black, grey, blur, the network's confusion colour, noisy linear imputation (ROAD)
    order        element, channel, channel_union, pixel
    ties         equal values go from all over the picture, not the last in memory first
    readout      probability, logit, KL(uniform || p)
    normalised   (r - r0) / (r1 - r0), r0 at the baseline and r1 at the image, of each curve, before the mean over images
    correct      only images that the network gets right
    draws        seeds of what is drawn for an image; methods without draws keep their score; over the images that have rows
    classes      seeds of the lists of false classes; the same
    images       half of the images, drawn by three seeds
    post         magnitudes, where a map is signed; magnitudes, pooled over channels and blurred

One is varied at a time; all else is that of `unified`. Rankings are compared by Kendall's tau-b; a claim (`la above agi`)
survives if the first mean is the larger one in every variant that counts. All rows of a variant are over the same images.
Seeds are set beside seeds 0 on the same images, and count for a claim that holds there; what repeats another variant, as a
confusion colour that is grey does, counts once.
Images on which r1 - r0 is below 0.05 have no normalised curve and are left out of that variant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.cli import command
from bench.config import Config, load
from bench.errors import UserError
from bench.figures.squares import Square, write
from bench.report import intervals, paper_table
from bench.report.document import Document
from bench.report.means import classes
from bench.report.significance import tau_b
from bench.report.table import Column, Entry, Table, columns
from bench.rng import lots
from bench.store import records
from bench.store.rows import Rows, load_rows
from bench.studies import study

EXPERIMENT, REFERENCE = "experiment=trust", "unified"
GAMES = {
    "unified": "unified",
    "grey": "baseline grey",
    "blur": "baseline blur",
    "fair": "baseline confusion",
    "road": "baseline linear",
    "ties": "ties spread",
    "insertion_deletion": "order channel_union",
    "channel": "order channel",
    "pixel": "order pixel",
    "logit": "readout logit",
    "kl": "readout KL",
}
BASE = "seeds 0, their images"
SEEDS = ("draws", "classes")
HALVES = (1, 2, 3)  # seeds of the images
QUANTITIES = {"insertion": "Insertion", "gap": "GAP"}
SMALLEST = 0.05  # of what lies between a curve's ends, to divide by it

Scores = dict[str, pd.DataFrame]  # {row: its rows, by image}


@dataclass(frozen=True)
class Ranked:
    """A variant: each row's scores, [image, row], by quantity."""

    name: str
    scores: Mapping[str, pd.DataFrame]
    labels: pd.Series  # of all images that any row has

    def means(self, quantity: str) -> pd.Series:
        return self.scores[quantity].mean()

    def units(self, quantity: str) -> np.ndarray | None:
        """What intervals resample, if it is not images."""
        return classes(self.labels.loc[self.scores[quantity].index].to_frame("label"))


def variants(found: Mapping[str, Scores], named: list[str]) -> list[Ranked]:
    """All that there are rows of.  found: {metric: {label: rows}}, a label "la" or "la, draws 1"."""
    plain = {metric: {k: rows for k, rows in scores.items() if ", " not in k} for metric, scores in found.items()}
    black = plain.get(REFERENCE, {})
    made = [(GAMES[metric], plain[metric]) for metric in GAMES if plain.get(metric)]
    made.append(("normalised curves", {row: normalised(rows) for row, rows in black.items()}))
    right = {row: rows[rows["prediction"] == rows["label"]] for row, rows in black.items()}
    made.append(("correct only", right))
    for seed in HALVES:
        made.append((f"images {seed}", half(black, seed)))
    for name in named:
        own = {
            k.removesuffix(f", {name}"): rows for k, rows in found.get(REFERENCE, {}).items() if k.endswith(f", {name}")
        }
        if own and name.startswith(SEEDS):
            some = set.intersection(*(set(rows.index) for rows in own.values()))
            if not any(variant[0] == BASE for variant in made):
                made.append((BASE, _of(black, some)))
            made.append((name, _of(black, some) | own))
        elif own:
            made.append((f"post {name}", black | own))
    ranked = [
        Ranked(name, {q: _table(scores, q) for q in QUANTITIES}, _labels(scores)) for name, scores in made if scores
    ]
    return [one for one in ranked if all(len(table) for table in one.scores.values())]


def half(scores: Scores, seed: int) -> Scores:
    """The rows of every second image, in an order that the seed draws."""
    images = sorted(set.union(set(), *(set(rows.index) for rows in scores.values())))
    drawn = lots(seed, "trust/images", images)
    return _of(scores, {image for _, image in sorted(zip(drawn, images, strict=True))[::2]})


def normalised(rows: pd.DataFrame) -> pd.DataFrame:
    """Areas under (r - r0) / (r1 - r0). r0: at the baseline; r1: at the image. The area moves and stretches as the
    curve does.
    """
    r0 = np.array([curve[0] for curve in rows["insertion_curve"]], dtype=float)
    r1 = np.array([curve[-1] for curve in rows["insertion_curve"]], dtype=float)
    kept = np.abs(r1 - r0) >= SMALLEST
    areas = {name: ((rows[name] - r0) / np.where(kept, r1 - r0, 1))[kept] for name in ("insertion", "deletion")}
    return rows[kept].assign(**areas)


def claims(ranked: list[Ranked], pairs: list[list[str]]) -> pd.DataFrame:
    """For each pair, quantity and variant: does the first come before the second?  difference, and its 95 % interval.

    counts: whether the variant says anything of the claim. Seeds do not if it fails with seeds 0 on their images: few images
    are no other design.
    """
    lines, again = [], repeated(ranked)
    for quantity in QUANTITIES:
        base = next((variant.means(quantity) for variant in ranked if variant.name == BASE), None)
        for first, second in pairs:
            for variant in ranked:
                scores = variant.scores[quantity]
                if {first, second} <= set(scores):
                    apart = (scores[first] - scores[second]).to_numpy()
                    low, high = intervals.interval(apart[:, None], variant.units(quantity), draws=2000)[:, 0]
                    counts = variant.name not in (BASE, *again)
                    if variant.name.startswith(SEEDS):
                        counts = base is not None and bool(base[first] > base[second])
                    lines.append(
                        {"claim": f"{first} above {second}", "quantity": quantity, "variant": variant.name}
                        | {"difference": apart.mean(), "low": low, "high": high, "holds": bool(apart.mean() > 0)}
                        | {"counts": counts}
                    )
    named = ["claim", "quantity", "variant", "difference", "low", "high", "holds", "counts"]
    return pd.DataFrame(lines, columns=named)


def repeated(ranked: list[Ranked]) -> dict[str, str]:
    """{a variant: an earlier one that has the same scores}."""
    found: dict[str, str] = {}
    for k, one in enumerate(ranked):
        same = (other for other in ranked[:k] if all(one.scores[q].equals(other.scores[q]) for q in QUANTITIES))
        if (first := next(same, None)) is not None:
            found[one.name] = first.name
    return found


def neighbours(ranked: list[Ranked]) -> list[list[str]]:
    """Each row and the next one of the first variant, by insertion."""
    order = list(ranked[0].means("insertion").sort_values(ascending=False, kind="stable").index)
    return [list(pair) for pair in zip(order, order[1:], strict=False)]


def agreement(ranked: list[Ranked], quantity: str) -> np.ndarray:
    """Kendall's tau-b of every two variants, over the rows that both have. [n, n]."""
    means = [variant.means(quantity) for variant in ranked]
    square = np.full((len(means), len(means)), np.nan)
    for i, one in enumerate(means):
        for j, other in enumerate(means):
            both = [row for row in one.index if row in other.index]
            if len(both) > 1:
                square[i, j] = tau_b(one[both].to_numpy(), other[both].to_numpy())
    return square


def sentence(told: pd.DataFrame, quantity: str) -> str:
    """Which claims survive all variants that count, and where the others fall."""
    part = told[(told["quantity"] == quantity) & told["counts"]]
    survive = [claim for claim, of in part.groupby("claim", sort=False) if of["holds"].all()]
    fall = {
        c: list(of.loc[~of["holds"], "variant"]) for c, of in part.groupby("claim", sort=False) if not of["holds"].all()
    }
    times = part.groupby("claim")["variant"].count()
    n = f"all {times.max()} variants" if times.nunique() == 1 else f"all variants that tell, {times.max()} at most"
    lost = "; ".join(f"{claim} (not by {', '.join(names)})" for claim, names in fall.items())
    return (
        f"By {QUANTITIES[quantity] if quantity == 'gap' else 'insertion'}, of {len(survive) + len(fall)} claims "
        f"{len(survive)} {'survives' if len(survive) == 1 else 'survive'} {n}: {', '.join(survive) or 'none'}."
        + (f" The others do not: {lost}." if lost else "")
    )


def main(arguments: list[str]) -> None:
    study.write(*make(arguments))


def make(overrides: list[str]) -> tuple[Document, study.Draw, Path]:
    config = load([EXPERIMENT, *overrides], builders=False)
    plan, results = config.cfg.experiment, Path(config.cfg.paths.results)
    named, pairs = [variant["name"] for variant in plan.variants], [list(pair) for pair in plan.claims]
    tables, lines, facts, squares = [], [], [], []
    for model, found in read(config, results).items():
        ranked = variants(found, named)
        if not ranked or ranked[0].name != GAMES[REFERENCE] or len(ranked[0].means("insertion")) < 2:
            raise UserError(
                f"trust on {model}: there are no rows by {REFERENCE}; make them: python -m bench.run {EXPERIMENT}"
            )
        pairs_there = [pair for pair in pairs if set(pair) <= set(ranked[0].means("insertion").index)]
        told, near = claims(ranked, pairs_there), claims(ranked, neighbours(ranked))
        for quantity, title in QUANTITIES.items():
            square = agreement(ranked, quantity)
            names = [variant.name for variant in ranked]
            squares.append(Square(f"{title}: Kendall's τ-b, {model}", names, square))
            below = [sentence(told, quantity)] if len(told) else []
            tables.append(_scores(ranked, quantity, f"{model} · {title}"))
            tables.append(_claims(told, quantity, f"{model} · claims by {title}", below))
            tables.append(_claims(near, quantity, f"{model} · neighbours by insertion, told by {title}", []))
            tables.append(_agreement(ranked, square, f"{model} · τ-b of rankings by {title}"))
            facts += [f"{model}. {line}" for line in below]
        facts += [f"{model}. {name} repeats {first}: it counts once." for name, first in repeated(ranked).items()]
        lines += [line for variant in ranked for line in _lines(model, variant)]
    document = Document("trust", plan.title, pd.DataFrame(lines), tables=tables, facts=facts)
    return document, lambda stem: write(stem, squares), results


def read(config: Config, results: Path) -> dict[str, dict[str, Scores]]:
    """{network: {metric: {row: the scored rows of its run, by image}}}. UserError: there is none."""
    rows, runs = load_rows(results), records.load_runs(results)
    if rows.empty:
        raise UserError(f"No rows in {results / 'rows'}. Make some: python -m bench.run {EXPERIMENT}")
    _, matching, _ = paper_table.numbers(config, rows, runs)
    found: dict[str, dict[str, Scores]] = {}
    for (model, metric), of_rows in matching.items():
        for label, there in of_rows.items():
            if there:
                scored = Rows(results, runs[there[0]]["cell"], there[0]).read().to_pandas()
                scored = scored[scored["status"] == "ok"].drop_duplicates("image_id").set_index("image_id")
                if len(scored):
                    found.setdefault(model, {}).setdefault(metric, {})[label] = scored
    if not found:
        raise UserError(
            f"No row in {results / 'rows'} is what the experiment asks for: give it the settings that they were made with, "
            f"experiment.steps= for instance, or make some: python -m bench.run {EXPERIMENT}"
        )
    return found


def _of(scores: Scores, images: set[str]) -> Scores:
    return {row: rows[rows.index.isin(images)] for row, rows in scores.items()}


def _table(scores: Scores, quantity: str) -> pd.DataFrame:
    """[image, row], of the images that all rows have."""
    values = {
        row: (rows["insertion"] - rows["deletion"] if quantity == "gap" else rows[quantity]).astype(float)
        for row, rows in scores.items()
    }
    return pd.DataFrame(values).dropna()


def _labels(scores: Scores) -> pd.Series:
    labels = pd.concat([rows["label"] for rows in scores.values()])
    return labels[~labels.index.duplicated()]


def _lines(model: str, variant: Ranked) -> list[dict]:
    lines = []
    for quantity, scores in variant.scores.items():
        ranks = scores.mean().rank(ascending=False, method="min")
        lines += [
            {"model": model, "variant": variant.name, "confidence": "all", "quantity": quantity, "row": row}
            | {"mean": scores[row].mean(), "rank": int(ranks[row]), "n": len(scores), "failed": 0}
            for row in scores
        ]
    return lines


def _scores(ranked: list[Ranked], quantity: str, title: str) -> Table:
    """A row a method, a column a variant: rank, and the mean."""
    order = ranked[0].means(quantity).sort_values(ascending=False, kind="stable").index
    means = {variant.name: variant.means(quantity) for variant in ranked}
    rows = []
    for row in order:
        entries = [Entry(row)]
        for values in means.values():
            rank = int(values.rank(ascending=False, method="min").get(row, 0))
            entries.append(Entry(f"{rank} ({values[row]:.3f})", float(rank)) if rank else Entry("–"))
        rows.append(entries)
    counts = [Entry("images"), *(Entry(str(len(variant.scores[quantity]))) for variant in ranked)]
    return Table(f"{title}: rank (mean)", [Column("Method"), *(Column(name) for name in means)], [*rows, counts])


def _claims(told: pd.DataFrame, quantity: str, title: str, below: list[str]) -> Table:
    rows = []
    for claim, part in told[(told["quantity"] == quantity) & told["counts"]].groupby("claim", sort=False):
        first = part.iloc[0]
        held = int(part["holds"].sum())
        margin = f"{first['difference']:+.3f} [{first['low']:+.3f}, {first['high']:+.3f}]".replace("nan", "–")
        falls = ", ".join(part.loc[~part["holds"], "variant"]) or "–"
        rows.append([Entry(claim), Entry(margin), Entry(f"{held} of {len(part)}", held / len(part)), Entry(falls)])
    return Table(title, columns("Claim", "difference by unified [95 %]", "holds in", "not by"), rows, below=below)


def _agreement(ranked: list[Ranked], square: np.ndarray, title: str) -> Table:
    names = [variant.name for variant in ranked]
    rows = []
    for name in names:
        beside = BASE if name.startswith(SEEDS) else names[0]
        tau = square[names.index(beside), names.index(name)]
        rows.append([Entry(name), Entry(beside), Entry(f"{tau:.2f}", None if np.isnan(tau) else float(tau))])
    return Table(title, columns("Variant", "beside", "Kendall's τ-b"), rows)


if __name__ == "__main__":
    command(__doc__, main)
