"""Rows to tables: `python -m bench.report experiment=la_table1`. Reads what runs have left; computes nothing anew.

    python -m bench.report experiment=NAME [KEY=VALUE ...]   one table of a paper, every cell beside the published value
    python -m bench.report [KEY=VALUE ...]                   everything that has rows

Writes <results>/report/NAME.md, .csv and .tex (NAME is `summary` if there is no experiment) and prints the Markdown;
without an experiment also index.html, one page over everything.
KEY=VALUE as for bench.run: paths.results=DIR, data=imagenet, compute.precision=tf32, report.threshold=0.8 and so on.
A cell of a table shows the run whose settings are those of the experiment; a cell without one says "not run".
"""

import functools
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from bench import experiments, figures, page, published, records, render, statistics, tables
from bench.config import load
from bench.data import open_source
from bench.errors import UserError
from bench.preprocessing import Preprocessing

COLUMNS = [
    "experiment",
    *tables.PARTITIONS,
    "row",
    "confidence",
    "quantity",
    "mean",
    "ci_low",
    "ci_high",
    "n",
    "failed",
]
COLUMNS += ["standing", "published", "difference", "verdict", "run_id", "published_source"]
IMAGES = {  # experiment.images: what the published numbers are of
    "A": "The published numbers are, most probably, of the images that `la_release` holds.",
    "B": "The published numbers are of ImageNet images that nobody lists: compare ranks, not values.",
    "mixed": "The published numbers are of two image sets: those of GIG, EG, DeepLIFT and SG most probably of the images "
    "that `la_release` holds, all others of images that nobody lists: compare ranks, not values.",
    "unknown": "The published numbers are of images that nobody lists: compare ranks, not values.",
}


@dataclass
class Report:
    """What the three files are written from."""

    name: str
    title: str
    numbers: pd.DataFrame  # columns COLUMNS
    facts: list[str] = field(default_factory=list)  # lines above the tables
    notes: list[str] = field(default_factory=list)  # lines below them
    footers: dict = field(default_factory=dict)  # {(data, model, metric, confidence): lines below that table}
    labels: dict[str, str] = field(default_factory=dict)  # {run_id: what tells it from others of its cell}
    threshold: float = 0.70
    picture: Callable[[Path], Path] | None = None  # draws the experiment's panel, or the page over everything


def main(arguments: list[str]) -> int:
    """Exit status."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        report, folder = make(arguments)
        paths = write(report, folder)
        if report.picture:
            paths.append(report.picture(folder))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(paths[0].read_text())
    print(*paths, sep="\n")
    return 0


def make(overrides: list[str]) -> tuple[Report, Path]:
    """The report and the folder it belongs in."""
    cfg = load(overrides).cfg
    results, experiment = Path(cfg.paths.results), cfg.get("experiment")
    rows, runs = tables.load_rows(results), tables.load_runs(results)
    if rows.empty:
        raise UserError(f"No rows in {results / 'rows'}. Make some: python -m bench.run {shlex.join(overrides)}")
    report = of_experiment(cfg, overrides, rows, runs) if experiment else of_everything(cfg, rows, runs)
    command = f"python -m bench.report {_elsewhere(overrides)}".rstrip()
    report.threshold = cfg.report.threshold
    report.numbers, report.footers = statistics.compare(report.numbers, rows, report.threshold, cfg.report.bootstrap)
    tolerance = _tolerance(cfg)
    report.facts += records.provenance(report.numbers, runs)
    report.facts += [
        f"Low confidence: largest softmax probability below {report.threshold:.2f}; high: from there on.",
        f"Mean over images ± half of its 95 % bootstrap interval ({cfg.report.bootstrap} resamples; both ends are in "
        "the CSV). Bold: the best of a column. †: not told from it by a paired Wilcoxon test over the same images, 5 %, "
        "Holm's correction over the column.",
    ]
    if report.numbers["published"].notna().any():
        report.facts.append(
            "Δ: measured minus published. Verdict: reproduced, the published value is inside the interval; close, within "
            f"{tolerance['absolute']:g} of a probability, {tolerance['relative']:.0%} of anything else; or off."
        )
    report.facts.append(f"Made again by `{command}`, and paths.results= where the rows lie.")
    return report, results / "report"


def write(report: Report, folder: Path) -> list[Path]:
    """NAME.md, NAME.csv and NAME.tex; the paths, in this order."""
    grids = render.grids(report.numbers, report.labels, report.threshold, report.footers)
    stem = folder / report.name
    return render.write(stem, report.title, report.facts, grids, report.notes, report.numbers[COLUMNS])


def of_experiment(cfg: DictConfig, overrides: list[str], rows: pd.DataFrame, runs: dict[str, dict]) -> Report:
    """A table of a paper: every model, method and metric that it names, run or not."""
    plan, cells, notes = cfg.experiment, [], []
    scored = rows[rows["status"] == "ok"].groupby("run_id").size()
    for cell in experiments.cells(plan):
        composed = load([*overrides, *cell.overrides])
        for metric in plan.metrics:
            names = composed.names | {"metric": metric}
            matching = [i for i in runs if records.matches(runs[i], names, composed.cfg)]
            matching.sort(key=lambda i: (-scored.get(i, 0), i))
            if len(matching) > 1:
                notes.append(records.several(matching, runs, scored))
            run_id = matching[0] if matching else None
            cells.append(names | {"run_id": run_id, "row": cell.row.label, "overrides": cell.overrides})
    numbers = _numbers(cfg, cells, rows, plan.get("quantities")).assign(experiment=plan.name)
    numbers = numbers[(numbers["quantity"] != "fps") | (numbers["confidence"] == "all")]  # speed has no split
    printed = {row.label: row.published for row in experiments.rows(plan)}
    if plan.get("table") is None:
        numbers = _unpublished(numbers)
    else:
        unnamed = plan.get("unnamed_model")
        numbers = published.beside(numbers, plan.paper, plan.table, printed, unnamed, _tolerance(cfg))
        notes += _renamed(numbers, printed) + _impossible(plan)
    notes += _missing(numbers, overrides) + _unequal(numbers) + list(plan.get("notes") or [])
    if numbers["published"].notna().any():
        notes += [IMAGES[plan.images]] if plan.get("images") else []
        notes.append("What is known to be inconsistent in the published tables: `results/published/README.md`.")
    report = Report(plan.name, plan.title, numbers, notes=notes)
    for kind in ("table", "figure"):
        if plan.get(kind):
            report.facts.append(f"Paper: {plan.paper}, {kind} {plan[kind]}.")
    if plan.get("panel"):
        report.picture = functools.partial(_panel, cfg=cfg, runs=runs, data=composed.names["data"])
    return report


def _panel(folder: Path, *, cfg: DictConfig, runs: dict[str, dict], data: str) -> Path:
    """The photographs that the experiment names, each with the maps of all its methods, by the first model and metric."""
    plan = cfg.experiment
    cell = {"data": data, "model": plan.models[0], "metric": plan.metrics[0]}
    like = [record for record in runs.values() if cell.items() <= record["cell"].items()]
    if not like:
        raise UserError(f"Nothing of {plan.name} has been run: python -m bench.run experiment={plan.name}")
    source, ids = open_source(cfg.data, Preprocessing(**like[0]["preprocessing"]), cfg.run.seed)
    shown = [image for image in plan.panel if image in ids] or ids[:3]
    results = Path(cfg.paths.results)
    return figures.panel_from_results(
        folder / f"{plan.name}.png", results, source, methods=plan.methods, image_ids=shown, **cell
    )


def of_everything(cfg: DictConfig, rows: pd.DataFrame, runs: dict[str, dict]) -> Report:
    """All rows there are; runs of the same cell side by side."""
    cells = rows[[*tables.PARTITIONS, "run_id"]].drop_duplicates().sort_values([*tables.PARTITIONS, "run_id"])
    labels = {}
    for _, part in cells.groupby(tables.PARTITIONS):
        if len(part) > 1:
            labels |= records.labels({i: runs.get(i, {}) for i in part["run_id"]})
    numbers = _numbers(cfg, cells.to_dict("records"), rows)
    numbers = _unpublished(numbers).assign(experiment=None, row=numbers["method"])
    report = Report("summary", "Everything that has rows", numbers, notes=_unequal(numbers), labels=labels)
    report.picture = lambda folder: page.write(folder.parent, cfg, report.numbers)
    return report


def _numbers(cfg: DictConfig, cells: list[dict], rows: pd.DataFrame, wanted: list[str] | None = None) -> pd.DataFrame:
    """Each cell's means and intervals. A metric without any rows is taken for a pair unless papers print it as one."""
    kinds = {metric: tables.quantities(part) for metric, part in rows.groupby("metric")}
    kinds = {metric: ("score",) for metric in published.SCORES} | kinds
    cells = [cell | {"quantities": tuple(wanted or kinds.get(cell["metric"], tables.PAIR))} for cell in cells]
    return tables.measure(rows, pd.DataFrame(cells), cfg.report.threshold, cfg.report.bootstrap)


def _unpublished(numbers: pd.DataFrame) -> pd.DataFrame:
    return numbers.assign(published=None, difference=float("nan"), published_source=None, verdict="")


def _tolerance(cfg: DictConfig) -> dict[str, float]:
    return published.TOLERANCE | dict(cfg.report.get("tolerance") or {})


def _renamed(numbers: pd.DataFrame, printed: dict[str, dict | None]) -> list[str]:
    """Rows that stand beside a printed row of another name."""
    there = set(numbers.loc[numbers["verdict"] != "", "row"])
    named = {ours: row for ours, row in printed.items() if ours in there and "param" not in row}
    pairs = [f"`{ours}` beside `{row['method']}`" for ours, row in named.items() if ours != row["method"]]
    return [f"Set beside published rows of other names: {', '.join(pairs)}."] if pairs else []


def _impossible(plan: DictConfig) -> list[str]:
    known = published.impossible(plan.paper, plan.table)
    return [
        f"No published number of {model} in this table can be right: contradiction {number}."
        for model, number in known.items()
        if model in plan.models
    ]


def _elsewhere(overrides: list[str]) -> str:
    """The command line without what holds on this machine only."""
    return shlex.join(override for override in overrides if not override.startswith(("paths.", "data.root", "hydra")))


def _missing(numbers: pd.DataFrame, overrides: list[str]) -> list[str]:
    """How to run the cells that have no rows."""
    cells = numbers.drop_duplicates([*tables.PARTITIONS, "row"])
    gone = cells[cells["run_id"].isna()]
    if gone.empty:
        return []
    command = f"python -m bench.run {_elsewhere(overrides)}"
    return [f"{len(gone)} of {len(cells)} cells have not been run under these settings. To run them: `{command}`"]


def _unequal(numbers: pd.DataFrame) -> list[str]:
    """Methods that were scored on different numbers of images are not strictly comparable."""
    measured = numbers[(numbers["confidence"] == "all") & (numbers["n"] > 0)]
    differs = measured.groupby(["data", "model", "metric"])["n"].nunique() > 1
    where = ", ".join(" · ".join(key) for key in differs.index[differs])
    return [f"n differs between methods, so they were not scored on the same images: {where}."] if where else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
