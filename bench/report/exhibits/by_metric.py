"""Every row's rank by every metric, in colours, with what it costs; of experiments that set `overview`.

Ranks are of means over images, ties sharing theirs; a metric with a GAP is ranked by it. Rows stand in the order of their
mean rank over the metrics that they have.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from bench.figures import matrix
from bench.report.exhibits.cost import GAP, PASSES, SECONDS, of_runs
from bench.report.exhibits.exhibit import Figure, Found
from bench.report.quantities import SPEED
from bench.text import slug

ABOUT = (
    "Ranks by the mean over images, 1 the best and dark; of insertion and deletion by their GAP. Bold: the best, and rows "
    "that a paired test does not tell from it. From the top: by mean rank over the metrics shown, whatever these measure. "
    "Passes and seconds: of the method, for one image."
)


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """One picture for each network and data."""
    if plan is None or not plan.get("overview"):
        return
    there = lines[(lines["confidence"] == "all") & (lines["n"] > 0) & (lines["quantity"] != SPEED)]
    for (data, model), part in there.groupby(["data", "model"], sort=False):
        drawn = of_network(part, of_runs(found.rows), f"{model} · {data}")
        stem = f"{plan.name}_by_metric_{slug(model)}"
        files = tuple(file.name for file in matrix.write(found.folder / stem, drawn))
        pictures = ((f"Rank of every row by every metric: {drawn.title}", matrix.svg(stem, drawn)),)
        yield Figure(f"Ranks by metric: {drawn.title}", files=files, svg=pictures, about=ABOUT)


def of_network(lines: pd.DataFrame, costs: pd.DataFrame, title: str) -> matrix.Matrix:
    """lines: of one network and data.  costs: cost.of_runs's."""
    ranks, best = {}, {}
    for metric, part in lines.groupby("metric", sort=False):
        name = GAP if GAP in set(part["quantity"]) else part["quantity"].iloc[0]
        measured = part[part["quantity"] == name].set_index("row")
        ranks[metric] = measured["mean"].rank(ascending=measured["kind"].iloc[0].sign < 0)
        best[metric] = measured["standing"].isin(["best", "level"])
    table = pd.DataFrame(ranks)
    table = table.loc[table.mean(axis=1).sort_values(kind="stable").index]
    bold = pd.DataFrame(best).reindex(table.index).fillna(False).to_numpy(dtype=bool)
    runs = lines.drop_duplicates("row").set_index("row")["run_id"].reindex(table.index)
    of_row = costs.reindex(runs)
    beside = {
        "mean rank": [f"{value:.1f}" for value in table.mean(axis=1)],
        "passes": [_short(value) for value in of_row[PASSES]],
        "seconds": [_short(value) for value in of_row[SECONDS]],
    }
    return matrix.Matrix(title, list(table.index), list(table.columns), table.to_numpy(dtype=float), bold, beside)


def _short(value: float) -> str:
    """Three digits: 0.0123, 4.5, 1,161."""
    return "–" if np.isnan(value) else f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.2g}"
