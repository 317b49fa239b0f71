"""A table of a paper: every model, method and metric that its experiment names, run or not, beside the published value."""

import functools
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from bench.config import Config
from bench.errors import UserError
from bench.experiments import plan as experiments
from bench.experiments.cells import Cells
from bench.papers import contradictions, published
from bench.report import means, quantities, ranking, verdicts
from bench.report.table import Table
from bench.seeds import Seeds
from bench.store import records
from bench.store.rows import PARTITIONS
from bench.text import plural
from bench.typed import elsewhere

IMAGES = {  # experiment.images: what the published numbers are of
    "A": "The published numbers are, most probably, of the images that `la_release` holds.",
    "B": "The published numbers are of ImageNet images that nobody lists: compare ranks, not values.",
    "mixed": "The published numbers are of two image sets: those of GIG, EG, DeepLIFT and SG most probably of the images "
    "that `la_release` holds, all others of images that nobody lists: compare ranks, not values.",
    "unknown": "The published numbers are of images that nobody lists: compare ranks, not values.",
}


Matching = dict[tuple[str, str], dict[str, list[str]]]  # {(network, metric): {row: the runs with its settings}}


def numbers(config: Config, rows: pd.DataFrame, runs: dict[str, dict]) -> tuple[pd.DataFrame, Matching, list[str]]:
    """The table's lines, the published values beside them; the runs of its cells, the shown one first; and notes."""
    cfg, plan = config.cfg, config.cfg.experiment
    table = experiments.rows(plan)
    cells, matching, notes = _matched(config, table, rows, runs)
    found = means.measure(rows, pd.DataFrame(cells), cfg.report.threshold, cfg.report.bootstrap)
    found = found.assign(experiment=plan.name)
    found = found[(found["quantity"] != quantities.SPEED) | (found["confidence"] == "all")]  # speed has no split
    printed = {row.label: row.published for row in table}
    if plan.get("table") is None:
        found = published.nothing(found)
    else:
        unnamed = plan.get("unnamed_model")
        found = published.beside(found, plan.paper, plan.table, printed, unnamed)
        found, why = verdicts.judged(found, rows, runs, plan, cfg.report.threshold)
        notes += why + _renamed(found, printed) + _impossible(plan)
    found = found.assign(contradictions=_contradictions(found, plan, printed))
    if (found["quantity"] == quantities.SPEED).any():
        notes.append("Images a second have no interval: the images of a batch share its seconds.")
    notes += _missing(found, config.overrides) + unequal(found, rows) + list(plan.get("notes") or [])
    notes += [f"Not as in the paper: {text}" for text in plan.get("deviations") or []]
    if found["published"].notna().any():
        notes += [IMAGES[plan.images]] if plan.get("images") else []
        notes.append("What is known to be inconsistent in the published tables: `results/published/README.md`.")
    return found, matching, notes


def margins(found: pd.DataFrame, plan: DictConfig) -> dict[tuple, list[str]]:
    """Lines under a table: how far from the printed value a mean may be, and which columns cannot fail."""
    return {} if plan.get("table") is None else verdicts.margins(found, plan)


def facts(plan: DictConfig) -> list[str]:
    """Which table or figure of which paper."""
    return [f"Paper: {plan.paper}, {kind} {plan[kind]}." for kind in ("table", "figure") if plan.get(kind)]


def ranks(found: pd.DataFrame, rows: pd.DataFrame, cfg: DictConfig) -> dict[ranking.Key, list[Table]]:
    """Of networks that the paper has not."""
    plan = cfg.experiment
    if plan.get("table") is None:
        return {}
    source = (plan.paper, plan.table, experiments.printed(plan))
    return ranking.beside(found, rows, *source, cfg.report.threshold, cfg.report.bootstrap)


def _matched(
    config: Config, table: list[experiments.Row], rows: pd.DataFrame, runs: dict[str, dict]
) -> tuple[list[dict], Matching, list[str]]:
    """Each cell with the run that it shows, by metric; all runs that could be shown; and where there was a choice."""
    cfg, plan = config.cfg, config.cfg.experiment
    scored, images, configs = (
        rows[rows["status"] == "ok"].groupby("run_id").size(),
        images_here(cfg, runs),
        Cells(config),
    )
    cells, matching, notes = [], {}, []
    for cell in experiments.cells(plan, table):
        composed = configs.of(cell)
        for metric in cell.metrics:
            names = composed.names | {"metric": metric}
            wanted = records.asked(names, composed.cfg)
            there = [i for i in runs if records.matches(runs[i], names, wanted)]
            there = records.of_collection(there, runs, *images)
            there.sort(key=lambda i: (-scored.get(i, 0), i))
            if len(there) > 1:
                notes.append(records.several(there, runs, scored))
            matching.setdefault((names["model"], metric), {})[cell.row.label] = there
            kinds = quantities.of_metric(metric, OmegaConf.to_container(composed.cfg.metric[metric]))
            cells.append(
                names
                | {"run_id": there[0] if there else None, "row": cell.row.label}
                | {"quantities": quantities.chosen(metric, kinds, plan.get("quantities"))}
            )
    return cells, matching, notes


def images_here(cfg: DictConfig, runs: dict[str, dict]) -> tuple[str | None, str | None]:
    """The collection that data.root holds, None if nobody here knows; and data.root, if it is given.

    What runs of data.root recorded is taken for it; only where they say nothing, or several things, the images are asked.
    """
    root = OmegaConf.to_container(cfg.data).get("root")
    if root in (None, "???"):
        return None, None
    recorded = {records.collection(run) for run in runs.values() if run["config"]["data"].get("root") == root} - {None}
    if len(recorded) == 1:
        return recorded.pop(), root
    return _collection(cfg) if Path(root).exists() else None, root


def _collection(cfg: DictConfig) -> str | None:
    from bench.images.preprocessing import Preprocessing  # torch, which no other part of a report needs
    from bench.images.source import open_source

    try:
        return open_source(cfg.data, Preprocessing(1, 1), Seeds.of(cfg.run).images)[0].collection
    except UserError:
        return None


def _renamed(found: pd.DataFrame, printed: dict[str, dict | None]) -> list[str]:
    """Rows that stand beside a printed row of another name."""
    there = set(found.loc[found["verdict"] != "", "row"])
    named = {ours: row for ours, row in printed.items() if ours in there and "param" not in row}
    pairs = [f"`{ours}` beside `{row['method']}`" for ours, row in named.items() if ours != row["method"]]
    return [f"Set beside published rows of other names: {', '.join(pairs)}."] if pairs else []


def _contradictions(found: pd.DataFrame, plan: DictConfig, printed: dict[str, dict | None]) -> list[str | None]:
    """Of each line the numbers of the contradictions that touch its published value; in a figure, its row."""
    kind = "fig" if plan.get("table") is None else "table"
    of = f"{plan.get('paper')}_{kind}{plan.get('figure') if kind == 'fig' else plan.table}"
    touching = []
    for line in found.to_dict("records"):
        beside = printed[line["row"]] if line["verdict"] or kind == "fig" else None
        metric = "" if line["quantity"] == quantities.SPEED else line["metric"]  # a speed is nobody's score
        names = beside and (beside["method"], line["model"], metric, line["quantity"])
        touching.append((contradictions.touching(of, *names) or None) if names and plan.get("paper") else None)
    return touching


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


def unequal(numbers: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Methods that were scored on different images, be there as many of them, are not strictly comparable."""
    scored = {run_id: part.index for run_id, part in means.by_image(rows).items()}
    measured = numbers[(numbers["confidence"] == "all") & (numbers["n"] > 0)]
    where = []
    for key, part in measured.groupby(["data", "model", "metric"], sort=False):
        first, *others = (scored[run_id] for run_id in part["run_id"])
        if not all(first.equals(other) for other in others):  # both in the order of their names
            shared = plural(len(functools.reduce(pd.Index.intersection, others, first)), "image")
            where.append(f"{' · '.join(key)} ({shared} in common)")
    return [f"Not all methods were scored on the same images: {', '.join(where)}."] if where else []
