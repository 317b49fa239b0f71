"""How methods rank on a network that a paper has not: beside the published rankings of the networks that it has."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench import published, statistics, tables
from bench.render import NOTHING, TITLES, Cell, Grid, title

Key = tuple[str, str, str, str]  # data, model, metric, confidence


def beside(
    numbers: pd.DataFrame,
    rows: pd.DataFrame,
    paper: str,
    table: int | str,
    printed: Mapping[str, Mapping[str, str] | None],
    threshold: float,
    draws: int,
) -> dict[Key, list[Grid]]:
    """{a table of a network that the paper does not print: its rows by rank, and Kendall's tau with each printed network}.

    By insertion, and by GAP. Only rows with a printed counterpart have a rank.
    numbers: as published.beside leaves them. rows: tables.load_rows's. printed: {row: the printed one, or None}.
    """
    images, found = tables.by_image(rows), {}
    for key, part in numbers.groupby(statistics.COLUMN, sort=False):
        data, model, metric, confidence = key
        for quantity in ("insertion", "gap"):
            there = published.elsewhere(paper, table, printed, metric, confidence, quantity)
            if model in there or there.empty:
                continue
            measured = part[(part["quantity"] == quantity) & (part["n"] > 0)].set_index("row")
            if len(measured):
                scores = pd.DataFrame({
                    row: tables.split(images[run], confidence, threshold)[quantity]
                    for row, run in measured["run_id"].items()
                })  # fmt: skip
                found.setdefault(key, []).append(_grid(key, quantity, measured, scores, there, threshold, draws))
    return found


def _grid(
    key: Key,
    quantity: str,
    measured: pd.DataFrame,
    scores: pd.DataFrame,
    there: pd.DataFrame,
    threshold: float,
    draws: int,
) -> Grid:
    """scores: [image, row]. there: [row, printed network]."""
    measured = measured.sort_values("mean", ascending=False)
    both = [row for row in measured.index if row in there.index]
    here = pd.Series(range(1, len(both) + 1), index=both)
    ranks = there.loc[both].rank(ascending=False, method="min")
    lines = []
    for row, cell in measured.iterrows():
        value = f"{cell['mean']:.4f} ± {(cell['ci_high'] - cell['ci_low']) / 2:.4f}"
        others = [_entry(there.at[row, n], ranks.at[row, n]) if row in both else NOTHING for n in there]
        lines.append([Cell(text) for text in (row, value, str(here.get(row, NOTHING)), *others)])
    network = key[1]
    header = ["Method", f"{TITLES[quantity]}, {network}", "rank", *(f"{n}: rank (published)" for n in there)]
    heading = f"Ranks by {statistics.SHOWN[quantity]}: {title(*key, threshold)}"
    return Grid(key[2], heading, header, lines, [_agreement(scores[both].dropna(), there.loc[both], quantity, draws)])


def _entry(value: float, rank: float) -> str:
    return NOTHING if np.isnan(value) else f"{rank:.0f} ({value:.4f})"


def _agreement(scores: pd.DataFrame, there: pd.DataFrame, quantity: str, draws: int) -> str:
    """Kendall's tau-b with each printed network, and its interval over the images."""
    said = []
    for network, values in there.items():
        known = values.dropna()
        here = scores[known.index].to_numpy()
        if len(known) < 3 or len(here) < 2:
            continue
        tau = statistics.tau_b(here.mean(axis=0), known.to_numpy())
        low, high = np.nanpercentile(statistics.tau_b(tables.resampled(here, draws), known.to_numpy()), [2.5, 97.5])
        said.append(f"{network} {tau:.2f} [{low:.2f}, {high:.2f}]")
    what = f"Kendall's τ-b of this ranking by {statistics.SHOWN[quantity]} and the published ones"
    return f"{what}, {len(there)} rows: {', '.join(said)}." if said else f"{what}: too few rows."
