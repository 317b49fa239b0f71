"""How much of what is possible, where a network and metric have the controls (bench/report/ceiling.py)."""

from collections.abc import Iterator

import pandas as pd
from omegaconf import DictConfig

from bench.figures import ranked
from bench.report.exhibits import forest
from bench.report.exhibits.exhibit import Figure, Found


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """A chart per quantity, of all images."""
    there = lines[(lines["confidence"] == "all") & lines["share"].notna()]
    for of, part in there.groupby(["data", "model", "metric"], sort=False):
        charts = [chart(measured, found) for _, measured in part.groupby("quantity", sort=False)]
        yield forest.figure("ceiling", "Share of what is possible", of, charts, plan, found)


def chart(measured: pd.DataFrame, found: Found) -> ranked.Chart:
    """Of one quantity, the best on top."""
    points = [
        ranked.Point(
            forest.named(line["row"], line["run_id"], found), line["share"], line["share_low"], line["share_high"]
        )
        for line in measured.sort_values("share", ascending=False, kind="stable").to_dict("records")
    ]
    title = measured["kind"].iloc[0].title
    return ranked.Chart(f"{title}: share of what is possible", "0: random, 1: ceiling", points)
