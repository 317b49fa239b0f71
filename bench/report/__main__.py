"""Rows to tables: `python -m bench.report experiment=la_table1`. Reads what runs have left; computes nothing anew.

    python -m bench.report experiment=NAME [KEY=VALUE ...]   one table of a paper, every cell beside the published value
    python -m bench.report [KEY=VALUE ...]                   everything that has rows

Writes <results>/report/NAME.md, .csv and .tex (NAME is `summary` if there is no experiment) and prints the Markdown;
NAME.png and .pdf too, if the experiment is a gallery or varies a setting; without an experiment index.html, one page over
everything.
KEY=VALUE as for bench.run: paths.results=DIR, data=imagenet, compute.precision=tf32, report.threshold=0.8 and so on.
A cell of a table shows the run whose settings are those of the experiment; a cell without one says "not run".
"""

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from bench.config import Config, elsewhere, load
from bench.errors import UserError
from bench.experiments import plan as experiments
from bench.images.preprocessing import Preprocessing
from bench.images.source import open_source
from bench.papers import contradictions, published
from bench.report import means, page, ranking, render, significance
from bench.report.exhibits import heatmaps as panels
from bench.report.exhibits import settings as variation
from bench.store import records
from bench.store.rows import PARTITIONS, load_rows
from bench.text import plural

COLUMNS = [
    "experiment",
    *PARTITIONS,
    "row",
    "confidence",
    "quantity",
    "mean",
    "ci_low",
    "ci_high",
    "n",
    "failed",
]
COLUMNS += ["standing", "published", "difference", "verdict", "run_id", "published_source", "contradictions"]
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
    ranks: list[render.Grid] = field(default_factory=list)  # of networks that the paper has not
    labels: dict[str, str] = field(default_factory=dict)  # {run_id: what tells it from others of its cell}
    threshold: float = 0.70
    picture: Callable[[Path], list[Path]] | None = None  # draws the experiment's figure, or the page over everything


def main(arguments: list[str]) -> int:
    """Exit status."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        report, folder = make(arguments)
        paths = write(report, folder)
        if report.picture:
            paths += report.picture(folder)
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
    rows, runs = load_rows(results), records.load_runs(results)
    if rows.empty:
        raise UserError(f"No rows in {results / 'rows'}. Make some: python -m bench.run {shlex.join(overrides)}")
    report = of_experiment(cfg, overrides, rows, runs) if experiment else of_everything(cfg, rows, runs)
    command = f"python -m bench.report {elsewhere(overrides)}".rstrip()
    report.threshold = cfg.report.threshold
    report.numbers, report.footers = significance.compare(
        report.numbers, rows, runs, report.threshold, cfg.report.bootstrap, report.labels
    )
    if experiment and experiment.get("table") is not None:
        source = (experiment.paper, experiment.table, experiments.printed(experiment))
        ranks = ranking.beside(report.numbers, rows, *source, report.threshold, cfg.report.bootstrap)
        report.ranks = [grid for grids in ranks.values() for grid in grids]
        for key, grids in ranks.items():
            report.footers.setdefault(key, []).extend(line for grid in grids for line in grid.lines)
    tolerance = _tolerance(cfg)
    report.facts += records.provenance(report.numbers, runs)
    report.facts += [
        f"Low confidence: largest softmax probability below {report.threshold:.2f}; high: from there on.",
        f"Mean over images ± half of its 95 % bootstrap interval ({cfg.report.bootstrap} resamples; both ends are in "
        "the CSV). Bold: the best of a column's comparable rows. †: not told from it by a paired Wilcoxon test over the "
        "same images, 5 %, Holm's correction over the column.",
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
    return render.write(stem, report.title, report.facts, grids + report.ranks, report.notes, report.numbers[COLUMNS])


def of_experiment(cfg: DictConfig, overrides: list[str], rows: pd.DataFrame, runs: dict[str, dict]) -> Report:
    """A table of a paper: every model, method and metric that it names, run or not."""
    plan, cells, notes, found = cfg.experiment, [], [], {}
    scored, images = rows[rows["status"] == "ok"].groupby("run_id").size(), _images(cfg)
    for cell in experiments.cells(plan):
        composed = load([*overrides, *cell.overrides])
        for metric in plan.metrics:
            names = composed.names | {"metric": metric}
            wanted = records.asked(names, composed.cfg)
            matching = [i for i in runs if records.matches(runs[i], names, wanted)]
            matching = records.of_collection(matching, runs, *images)
            matching.sort(key=lambda i: (-scored.get(i, 0), i))
            if len(matching) > 1:
                notes.append(records.several(matching, runs, scored))
            found.setdefault((names["model"], metric), {})[cell.row.label] = matching
            run_id = matching[0] if matching else None
            cells.append(names | {"run_id": run_id, "row": cell.row.label, "overrides": cell.overrides})
    numbers = _numbers(cfg, cells, rows, plan.get("quantities")).assign(experiment=plan.name)
    numbers = numbers[(numbers["quantity"] != "fps") | (numbers["confidence"] == "all")]  # speed has no split
    printed = experiments.printed(plan)
    if plan.get("table") is None:
        numbers = _unpublished(numbers)
    else:
        unnamed = plan.get("unnamed_model")
        numbers = published.beside(numbers, plan.paper, plan.table, printed, unnamed, _tolerance(cfg))
        notes += _renamed(numbers, printed) + _impossible(plan)
    numbers = numbers.assign(contradictions=_contradictions(numbers, plan, printed))
    if (numbers["quantity"] == "fps").any():
        notes.append("Images a second have no interval: the images of a batch share its seconds.")
    notes += _missing(numbers, overrides) + _unequal(numbers, rows) + list(plan.get("notes") or [])
    if numbers["published"].notna().any():
        notes += [IMAGES[plan.images]] if plan.get("images") else []
        notes.append("What is known to be inconsistent in the published tables: `results/published/README.md`.")
    report = Report(plan.name, plan.title, numbers, notes=notes)
    for kind in ("table", "figure"):
        if plan.get(kind):
            report.facts.append(f"Paper: {plan.paper}, {kind} {plan[kind]}.")
    if plan.get("panel"):
        panel = _panel(Config(cfg, composed.names, overrides), runs, found)
        report.notes += _absent(panel, overrides)
        report.picture = lambda folder: panel.draw(folder / plan.name, plan.get("rendering", "overlay"))
    elif drawn := variation.panels(numbers, experiments.rows(plan), figure=bool(plan.get("figure"))):
        report.picture = lambda folder: variation.write(folder / plan.name, drawn)
    return report


def _images(cfg: DictConfig) -> tuple[str | None, str | None]:
    """The collection that data.root holds, None if it is not on this machine; and data.root, if it is given."""
    root = OmegaConf.to_container(cfg.data).get("root")
    if root in (None, "???"):
        return None, None
    try:
        source, _ = open_source(cfg.data, Preprocessing(1, 1), cfg.run.seed)
    except UserError:
        return None, root
    return source.collection, root


def _panel(config: Config, runs: dict[str, dict], found: dict[tuple[str, str], dict[str, list[str]]]) -> panels.Panel:
    """The photographs that the experiment names, or its first so many, with the map of each row, by its first metric.

    found: {(network, metric): {row: its runs}}.
    """
    plan, panel = config.cfg.experiment, panels.Panel()
    for (model, metric), rows in found.items():
        record = next((runs[i] for run_ids in rows.values() for i in run_ids), None)
        if metric != plan.metrics[0]:
            continue
        if record is None:
            panel.missing.append(f"everything on {model}")
            continue
        data = load([*config.overrides, *experiments.cells(plan)[0].overrides, *experiments.images(config)]).cfg.data
        try:
            source, ids = open_source(data, Preprocessing(**record["preprocessing"]), config.cfg.run.seed)
        except UserError as error:  # the tables need no photographs
            panel.missing.append(f"everything on {model} ({error})")
            continue
        if isinstance(plan.panel, int):
            shown = ids[: plan.panel]
        else:
            shown = [image for image in plan.panel if image in ids] or ids[:3]
        panel.add(model, source, shown, rows, runs, Path(config.cfg.paths.results))
    return panel


def _absent(panel: panels.Panel, overrides: list[str]) -> list[str]:
    """Which maps the picture lacks, and how to make them."""
    if not panel.missing:
        return []
    command = f"python -m bench.run {elsewhere(overrides)}"
    return [f"The picture lacks the maps of {', '.join(panel.missing)}. To make them: `{command}`"]


def of_everything(cfg: DictConfig, rows: pd.DataFrame, runs: dict[str, dict]) -> Report:
    """All rows there are; runs of the same cell side by side."""
    cells = rows[[*PARTITIONS, "run_id"]].drop_duplicates().sort_values([*PARTITIONS, "run_id"])
    labels = {}
    for _, part in cells.groupby(PARTITIONS):
        if len(part) > 1:
            labels |= records.labels({i: runs.get(i, {}) for i in part["run_id"]})
    numbers = _numbers(cfg, cells.to_dict("records"), rows)
    numbers = _unpublished(numbers).assign(experiment=None, row=numbers["method"])
    report = Report("summary", "Everything that has rows", numbers, notes=_unequal(numbers, rows), labels=labels)
    report.picture = lambda folder: [page.write(folder.parent, cfg, report.numbers, report.footers)]
    return report


def _numbers(cfg: DictConfig, cells: list[dict], rows: pd.DataFrame, wanted: list[str] | None = None) -> pd.DataFrame:
    """Each cell's means and intervals. A metric without any rows is taken for a pair unless papers print it as one."""
    kinds = {metric: means.quantities(part) for metric, part in rows.groupby("metric")}
    kinds = {metric: ("score",) for metric in published.SCORES} | kinds
    cells = [cell | {"quantities": tuple(wanted or kinds.get(cell["metric"], means.PAIR))} for cell in cells]
    return means.measure(rows, pd.DataFrame(cells), cfg.report.threshold, cfg.report.bootstrap)


def _unpublished(numbers: pd.DataFrame) -> pd.DataFrame:
    return numbers.assign(
        published=None, difference=float("nan"), published_source=None, verdict="", contradictions=None
    )


def _tolerance(cfg: DictConfig) -> dict[str, float]:
    return published.TOLERANCE | dict(cfg.report.get("tolerance") or {})


def _renamed(numbers: pd.DataFrame, printed: dict[str, dict | None]) -> list[str]:
    """Rows that stand beside a printed row of another name."""
    there = set(numbers.loc[numbers["verdict"] != "", "row"])
    named = {ours: row for ours, row in printed.items() if ours in there and "param" not in row}
    pairs = [f"`{ours}` beside `{row['method']}`" for ours, row in named.items() if ours != row["method"]]
    return [f"Set beside published rows of other names: {', '.join(pairs)}."] if pairs else []


def _contradictions(numbers: pd.DataFrame, plan: DictConfig, printed: dict[str, dict | None]) -> list[str | None]:
    """Of each line the numbers of the contradictions that touch its published value; in a figure, its row."""
    kind = "fig" if plan.get("table") is None else "table"
    of = f"{plan.get('paper')}_{kind}{plan.get('figure') if kind == 'fig' else plan.table}"
    found = []
    for line in numbers.to_dict("records"):
        beside = printed[line["row"]] if line["verdict"] or kind == "fig" else None
        names = beside and (beside["method"], line["model"], line["metric"], line["quantity"])
        found.append((contradictions.touching(of, *names) or None) if names and plan.get("paper") else None)
    return found


def _impossible(plan: DictConfig) -> list[str]:
    known = published.impossible(plan.paper, plan.table)
    return [
        f"No published number of {model} in this table can be right: {number} of `results/published/README.md`."
        for model, number in known.items()
        if model in plan.models
    ]


def _missing(numbers: pd.DataFrame, overrides: list[str]) -> list[str]:
    """How to run the cells that have no rows."""
    cells = numbers.drop_duplicates([*PARTITIONS, "row"])
    gone = cells[cells["run_id"].isna()]
    if gone.empty:
        return []
    command = f"python -m bench.run {elsewhere(overrides)}"
    return [f"Not run under these settings: {len(gone)} of {plural(len(cells), 'cell')}. To run them: `{command}`"]


def _unequal(numbers: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Methods that were scored on different images, be there as many of them, are not strictly comparable."""
    scored = {run_id: frozenset(part.index) for run_id, part in means.by_image(rows).items()}
    measured = numbers[(numbers["confidence"] == "all") & (numbers["n"] > 0)]
    where = []
    for key, part in measured.groupby(["data", "model", "metric"], sort=False):
        sets = {scored[run_id] for run_id in part["run_id"]}
        if len(sets) > 1:
            shared = plural(len(frozenset.intersection(*sets)), "image")
            where.append(f"{' · '.join(key)} ({shared} in common)")
    return [f"Not all methods were scored on the same images: {', '.join(where)}."] if where else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
