"""All rows there are; runs of the same cell side by side."""

import pandas as pd
from omegaconf import DictConfig

from bench.papers import published
from bench.report import means, quantities
from bench.store import records
from bench.store.rows import PARTITIONS


def numbers(cfg: DictConfig, rows: pd.DataFrame, runs: dict[str, dict]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Lines of every run, and {run_id: what tells it from another run of its cell}."""
    cells = rows[[*PARTITIONS, "run_id"]].drop_duplicates().sort_values([*PARTITIONS, "run_id"])
    labels = {}
    for _, part in cells.groupby(PARTITIONS):
        if len(part) > 1:
            labels |= records.labels({i: runs.get(i, {}) for i in part["run_id"]})
    kinds = [
        quantities.of_metric(
            metric, (run := runs.get(run_id, {})).get("config", {}).get("metric"), run.get("quantities")
        )
        for metric, run_id in cells[["metric", "run_id"]].itertuples(index=False)
    ]
    found = means.measure(rows, cells.assign(quantities=kinds), cfg.report.threshold, cfg.report.bootstrap)
    return published.nothing(found).assign(experiment=None, row=found["method"]), labels
