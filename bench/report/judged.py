"""What is said of measured numbers beside each other: standings, and shares of what is possible."""

from collections.abc import Mapping

import pandas as pd
from omegaconf import DictConfig

from bench.report import ceiling, significance


def judged(
    numbers: pd.DataFrame,
    rows: pd.DataFrame,
    runs: Mapping[str, dict],
    report: DictConfig,
    labels: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, dict]:
    """`numbers` with the columns of significance.compare and ceiling.shares, and the former's lines under each table.

    numbers: means.measure's, with row and published.  rows: load_rows's.  runs: their records.  report: the configuration's.
    labels: {run_id: what tells it from another run of the same cell}.
    """
    numbers, below = significance.compare(numbers, rows, runs, report.threshold, labels)
    return ceiling.shares(numbers, rows, runs, report.threshold, report.bootstrap), below
