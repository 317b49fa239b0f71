"""Runs of the real loop on a network of the tests' size."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from omegaconf import OmegaConf

from bench.choices import CONF
from bench.config import load
from bench.running.job import Job, open_job
from bench.running.runner import run
from bench.running.work import missing

SMALL = [
    "model=tiny",
    "model.net._target_=conftest.Cnn",
    "model.weights=random",
    "model.size=32",
    "model.resize=32",
    "model.feature_layer=features",
    "compute.device=cpu",
    "compute.workers=0",
]


def small_job(results: Path, *overrides: str) -> Job:
    return open_job(load(coarse(*SMALL, f"paths.results={results}", *overrides)))


def coarse(*overrides: str) -> list[str]:
    """A command line whose games have few steps, 5 at 32 pixels, where it does not say how many."""
    said = [override.removeprefix("metric=")[1:-1] for override in overrides if override.startswith("metric=")]
    names = [name for name in (said or ["unified"])[-1].split(",") if name]
    orders = {name: OmegaConf.load(CONF / "metric" / f"{name}.yaml")[name].get("order") for name in names}
    steps = {
        f"metric.{name}.step": 672 if order.startswith("element") else 224 for name, order in orders.items() if order
    }
    given = {override.partition("=")[0] for override in overrides}
    return [*overrides, *(f"{key}={step}" for key, step in steps.items() if key not in given)]


def complete(job: Job, batches: int | None = None) -> int:
    """Run what is missing, or only the first so many batches. Returns the number of images that were computed."""
    images = 0
    for n, progress in enumerate(run(job, missing(job)), start=1):
        images += progress.images
        if n == batches:
            break
    return images


def rows_of(results: Path) -> pd.DataFrame:
    """All rows, in one order, without what a clock measured."""
    files = [file for file in (results / "rows").rglob("*.parquet") if not file.name.startswith(".")]
    rows = pd.concat([pq.read_table(file, partitioning=None).to_pandas() for file in files])
    rows = rows.drop(columns=["seconds_attribution", "seconds_metric"])
    return rows.sort_values(["run_id", "image_id"]).reset_index(drop=True)
