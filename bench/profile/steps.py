"""What fewer steps of insertion and deletion cost in exactness: python -m bench.profile.steps paths.results=results

From the curves that lie beside the scores: every second, fourth or eighth of their points, ends included, are the curve of
a run with so many times the values a step (metric.unified.step=…), which takes that much less time. For each metric:
how far that moves an image's score, a method's mean, and which of two methods is the better. Computes no pass.

    steps=28,56,112         numbers of steps to try; those that do not divide a curve's own are left out

Writes <results>/report/steps.md, .csv, .tex and .json.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.profile.drift import Drift, drifts, small, swaps
from bench.profile.modes import OF_SCORE
from bench.report import means
from bench.report.document import Document
from bench.report.quantities import of_metric
from bench.report.table import Entry, Table, columns
from bench.store import records
from bench.store.rows import load_curves
from bench.studies import study
from bench.text import plural
from bench.typed import made_again

STEPS = ("28", "56", "112")
HEADER = (
    "steps",
    "mean change of an image",
    "largest",
    "largest change of a method's mean",
    "pairs of methods that change places",
    "the same, image by image",
)


class Run(NamedTuple):
    record: dict
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]  # {image: (insertion [S + 1], deletion [S + 1])}


def main(arguments: list[str]) -> None:
    steps, rest = study.listed(arguments, "steps", STEPS)
    if strange := [n for n in steps if not n.isdecimal() or int(n) < 2]:
        raise UserError(f"steps={strange[0]}: expected numbers of steps, 2 or more.")
    results = Path(load(rest).cfg.paths.results)
    document = made(results, sorted(map(int, steps)))
    document.facts.append(f"{made_again('bench.profile.steps', arguments)}.")
    files = document.save(results / "report")
    print(files[0].read_text(encoding="utf-8"))
    print(*files, sep="\n")


def made(results: Path, steps: list[int]) -> Document:
    """UserError: nothing lies there that could be read at fewer steps."""
    lines, tables = [], []
    for (data, model, metric, full), runs in of_one_kind(results):
        rows = []
        for n in [n for n in steps if n < full and full % n == 0]:
            for drift in drifts(scores(runs, full), scores(runs, n)):
                rows.append(_row(drift, n))
                lines.append({"data": data, "model": model, "full": full, "steps": n} | _numbers(drift))
        if rows:
            below = [f"Beside {full} steps; {plural(lines[-1]['images'], 'image')}, {plural(len(runs), 'run')}."]
            tables.append(Table(f"{model} · {metric} · {data}", columns("Score", *HEADER), rows, below=below))
    if not tables:
        told = ", ".join(map(str, steps))
        raise UserError(f"{results} holds no curve that could be read at {told} steps: score with unified first.")
    return Document("steps", "Fewer steps", pd.DataFrame(lines), tables)


def of_one_kind(results: Path) -> Iterator[tuple[tuple, list[Run]]]:
    """(data, model, metric, steps), and runs that may be compared image by image; the same four once more for each kind of
    run that there is.
    """
    found: dict[tuple, list[Run]] = {}
    for record in records.load_runs(results).values():
        cell = record["cell"]
        curves = load_curves(results, cell, record["run_id"]) if cell.get("metric") else {}
        lengths = {len(curve) for both in curves.values() for curve in both}
        if len(lengths) == 1 and (full := lengths.pop() - 1) > 0:
            kind = (cell["data"], cell["model"], cell["metric"], full), *sorted(records.conditions(record).items())
            found.setdefault(kind, []).append(Run(record, curves))
    yield from ((names, runs) for (names, *_), runs in found.items())


def scores(runs: list[Run], steps: int) -> pd.DataFrame:
    """[image, (method, metric, quantity)], read off the curves at so many steps."""
    found: dict[tuple, pd.Series] = {}
    for record, curves in sorted(runs, key=lambda run: (run.record["cell"]["method"], run.record["run_id"])):
        areas = {image: [area(curve, steps) for curve in both] for image, both in curves.items()}
        rows = pd.DataFrame.from_dict(areas, orient="index", columns=["insertion", "deletion"])
        method, metric = record["cell"]["method"], record["cell"]["metric"]
        if any(known == method for known, *_ in found):  # with other settings
            method = f"{method} {record['run_id'][:8]}"
        for name, kind in of_metric(metric, record["config"]["metric"]).items():
            found[method, metric, name] = means.values(rows, name, kind)
    table = pd.DataFrame(found)
    table.columns.names = OF_SCORE
    return table


def area(curve: np.ndarray, steps: int) -> float:
    """Under every so many-th of its points, on [0, 1].  [S + 1], S a multiple of steps."""
    return float(np.trapezoid(curve[:: (len(curve) - 1) // steps].astype(float), dx=1 / steps))


def _row(drift: Drift, steps: int) -> list[Entry]:
    changes = (drift.of_image_mean, drift.of_image.max(), drift.of_mean)
    return [Entry(drift.quantity), Entry(f"{steps}", steps), *(small(value) for value in changes), *swaps(drift)]


def _numbers(drift: Drift) -> dict:
    return {
        "metric": drift.metric,
        "quantity": drift.quantity,
        "images": drift.images,
        "mean_change_of_an_image": drift.of_image_mean,
        "largest_change_of_an_image": float(drift.of_image.max()),
        "largest_change_of_a_mean": drift.of_mean,
        "pairs": drift.pairs,
        "pairs_swapped": drift.swapped,
        "pairs_swapped_by_image": drift.swapped_images,
    }


if __name__ == "__main__":
    command(__doc__, main)
