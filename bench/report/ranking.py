"""How methods rank on a network that a paper has not: beside the published rankings of the networks that it has."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench.papers import published
from bench.report import intervals, means, significance
from bench.report.quantities import SPEED, in_words
from bench.report.table import NOTHING, Entry, Table, columns, estimate, title
from bench.text import plural
from metrics.quantities import Quantity

Key = tuple[str, str, str, str]  # data, model, metric, confidence


def beside(
    numbers: pd.DataFrame,
    rows: pd.DataFrame,
    paper: str,
    table: int | str,
    printed: Mapping[str, Mapping[str, str] | None],
    threshold: float,
    draws: int,
) -> dict[Key, list[Table]]:
    """{a table of a network that the paper does not print: its rows by rank, and Kendall's tau with each printed network}.

    By every quantity that is better when it is high. Only rows with a printed counterpart have a rank. Rows that have other
    images than most are left out.
    numbers: as published.beside leaves them. rows: load_rows's. printed: {row: the printed one, or None}.
    """
    images, found = means.by_image(rows), {}
    for key, part in numbers.groupby(significance.COLUMN, sort=False):
        data, model, metric, confidence = key
        for quantity, kind in part.drop_duplicates("quantity")[["quantity", "kind"]].itertuples(index=False):
            if kind.better != "high" or quantity == SPEED:
                continue
            there = published.elsewhere(paper, table, printed, metric, confidence, quantity, kind)
            measured = part[(part["quantity"] == quantity) & (part["n"] > 0)].set_index("row")["run_id"]
            if there.empty or measured.empty or model in there or model in published.impossible(paper, table):
                continue
            of_all = means.side_by_side(images, measured, quantity, kind, confidence, threshold)
            group = max(significance.comparable(of_all), key=lambda group: len(there.index.intersection(group)))
            scores = of_all[group].dropna()
            if len(scores):
                heading = f"Ranks by {in_words(kind)}: {title(*key, threshold)}"
                header = ["Method", f"{kind.title}, {model}", "rank", *(f"{n}: rank (published)" for n in there)]
                classes = means.classes_of(images[measured[group[0]]], scores.index)
                below = [_agreement(scores[_ranked(scores, there)], there, kind, classes)]
                if others := [row for row in of_all if row not in group]:
                    below.append(f"Left out, as they have other images than these {len(scores)}: {', '.join(others)}.")
                ranked = Table(heading, columns(*header), _rows(scores, there, classes, draws), below=below, of=key)
                found.setdefault(key, []).append(ranked)
    return found


def _ranked(scores: pd.DataFrame, there: pd.DataFrame) -> list[str]:
    """The rows that have a printed counterpart, the best first."""
    return [row for row in scores.mean().sort_values(ascending=False).index if row in there.index]


def _rows(scores: pd.DataFrame, there: pd.DataFrame, classes: np.ndarray | None, draws: int) -> list[list[Entry]]:
    """scores: [image, row]. there: [row, printed network]."""
    both = _ranked(scores, there)
    here = {row: str(rank) for rank, row in enumerate(both, 1)}
    ranks = there.loc[both].rank(ascending=False, method="min")
    interval = pd.DataFrame(intervals.interval(scores.to_numpy(), classes, draws=draws), columns=scores.columns)
    lines = []
    for row, mean in scores.mean().sort_values(ascending=False).items():
        value = estimate(mean, *interval[row])
        others = [_entry(there.at[row, n], ranks.at[row, n]) if row in here else Entry(NOTHING) for n in there]
        rank = Entry(here[row], float(here[row])) if row in here else Entry(NOTHING)
        lines.append([Entry(row), Entry(value, mean), rank, *others])
    return lines


def _entry(value: float, rank: float) -> Entry:
    return Entry(NOTHING) if np.isnan(value) else Entry(f"{rank:.0f} ({value:.4f})", rank)


def _agreement(scores: pd.DataFrame, there: pd.DataFrame, kind: Quantity, classes: np.ndarray | None) -> str:
    """Kendall's tau-b with each printed network."""
    said = []
    for network, values in there.loc[scores.columns].items():
        known = values.dropna()
        here = scores[known.index].to_numpy()
        if len(known) > 2 and (tau := significance.agreement(here, known.to_numpy(), classes)):
            said.append(f"{network} {tau}")
    over = f"{plural(len(scores.columns), 'row')}, {plural(len(scores), 'image')}"
    what = f"Kendall's τ-b of this ranking by {in_words(kind)} and the published ones ({over})"
    return f"{what}: {'; '.join(said) or 'too few rows'}."
