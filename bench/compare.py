"""Is mine better? `python -m bench.compare method=mine`: your method among rows that others have made.

    python -m bench.compare method=mine [compare.results=DIR] [data.root=DIR] [KEY=VALUE ...]

Runs your method alone, on the images, the network and by the metrics and settings of the rows in DIR (results/reference,
if it is not said), and sets it among them: rank with what it may be, paired differences to the best and to its neighbours,
what a map costs, and how many images would decide what is undecided. Of several networks or data sets in DIR the one with
most rows, unless model= or data= says which; metric=[unified] narrows the metrics, data.limit=20 the images. data.root:
where the images lie here. What cannot be compared is refused, and the setting named. DIR stays as it is: your rows go to
paths.results as those of any run do, and so do report/compare_NAME.md, .csv, .tex, .json and a forest plot with your row
marked.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf, open_dict

from bench.choices import ROOT, file
from bench.cli import command
from bench.config import Config, load
from bench.errors import UserError, did_you_mean
from bench.experiments.cells import parsed
from bench.images.source import select
from bench.papers import published
from bench.reference.order import fair
from bench.report import lines, means, quantities, standing, table
from bench.report.document import Document
from bench.report.exhibits import forest
from bench.report.exhibits.exhibit import Found
from bench.report.judged import judged
from bench.run import record_all, work_off
from bench.running.job import Job, open_job
from bench.running.remarks import failures
from bench.running.work import SHA256, missing
from bench.store import records
from bench.store.migrate import addressed
from bench.store.rows import load_rows
from bench.text import plural
from bench.typed import made_again
from metrics.quantities import said

OWN = "compare.results"
USUAL = "results/reference"
SHARED = {  # what a run has of its reference: keys of each group; None: all
    "model": None,
    "compute": ("precision", "fold", "allow_chance"),
    "run": ("seed", "class_seed", "image_seed", "target"),
}
PLACES = ("root", "devkit", "masks_path", "path")  # of data: where it lies, on the machine of the reference
SELECTION = ("ids", "subset", "sample", "limit")


@dataclass(frozen=True)
class Reference:
    """Rows to compare with: of one network, one data set, for each metric of one set of conditions.

    runs: {metric: {method: its record}}.  images: {metric: those that it scored, of any method}.
    """

    folder: Path
    runs: dict[str, dict[str, dict]]
    rows: pd.DataFrame
    images: dict[str, list[str]]

    @property
    def record(self) -> dict:
        return next(iter(next(iter(self.runs.values())).values()))

    @property
    def records(self) -> dict[str, dict]:
        return {record["run_id"]: record for of in self.runs.values() for record in of.values()}


def main(arguments: list[str]) -> int:
    """Exit status: 1, if an image failed."""
    overrides = [word for word in arguments if word.partition("=")[0] != OWN]
    reference = found(place([word for word in arguments if word not in overrides]), overrides)
    job = opened(reference, overrides)
    for metric in job.metrics:
        comparable(job, metric, reference)
    failed = computed(job, reference)
    document, paths = reported(job, reference, overrides)
    print(paths[0].read_text(encoding="utf-8"))
    print(*paths, sep="\n")
    if failed:
        print(failures(failed), file=sys.stderr)
    return int(bool(failed))


def place(given: list[str]) -> Path:
    """The folder of the reference. UserError: there are no rows."""
    folder = Path(given[-1].partition("=")[2]).expanduser() if given else Path(USUAL)
    if not given and not folder.is_dir():
        folder = ROOT / USUAL
    if not (folder / "rows").is_dir():
        raise UserError(f"{OWN}={folder}: there are no rows to compare with; name a folder that holds rows/ and runs/.")
    return folder


def found(folder: Path, overrides: list[str]) -> Reference:
    """What of a folder is compared with. UserError: it has nothing of what was asked for."""
    rows, runs = load_rows(folder, ["fingerprint"]), records.load_runs(folder)
    rows = rows[(rows["status"] == "ok") & rows["run_id"].isin(list(runs))]
    for key in ("model", "data"):
        if asked := _typed(overrides, key):
            rows = _narrowed(rows, key, [asked], folder)
    if rows.empty:
        raise UserError(f"{folder} has no scored rows whose records can be read.")
    data, model = rows.groupby(["data", "model"]).size().idxmax()
    rows = rows[(rows["data"] == data) & (rows["model"] == model)]
    if asked := _typed(overrides, "metric"):
        rows = _narrowed(rows, "metric", [name.strip() for name in asked.strip("[]").split(",")], folder)
    of_metric, images = {}, {}
    for metric, part in rows.groupby("metric", sort=False):
        of_metric[str(metric)] = _of_metric(part, runs)
        chosen = {record["run_id"] for record in of_metric[str(metric)].values()}
        images[str(metric)] = sorted(part[part["run_id"].isin(chosen)]["image_id"].unique())
    there = {record["run_id"] for of in of_metric.values() for record in of.values()}
    return Reference(folder, of_metric, rows[rows["run_id"].isin(there)], images)


def _typed(overrides: list[str], key: str) -> str | None:
    return next((word.partition("=")[2] for word in reversed(overrides) if word.startswith(f"{key}=")), None)


def _narrowed(rows: pd.DataFrame, key: str, wanted: list[str], folder: Path) -> pd.DataFrame:
    there = sorted(rows[key].unique())
    if strange := [name for name in wanted if name not in there]:
        hint = did_you_mean(strange[0], there)
        raise UserError(f"{key}={strange[0]}: {folder} has no rows of it; it has {', '.join(there) or 'none'}.{hint}")
    return rows[rows[key].isin(wanted)]


def _of_metric(part: pd.DataFrame, runs: Mapping[str, dict]) -> dict[str, dict]:
    """Of each method one run: of the conditions under which there are most rows, that with the most images; of seed 0 if
    there are several.
    """
    counted = part.groupby(["method", "run_id"]).size()
    under = {run: tuple(sorted(records.conditions(runs[run]).items())) for _, run in counted.index}
    scored = Counter[tuple]()
    for (_, run), n in counted.items():
        scored[under[run]] += n
    most, chosen = max(scored, key=lambda conditions: scored[conditions]), dict[str, dict]()
    for (method, run), _ in sorted(
        counted.items(), key=lambda of: (-of[1], str(records.identity_of(runs[of[0][1]]).seed))
    ):
        if under[run] == most:
            chosen.setdefault(method, runs[run])
    return chosen


def opened(reference: Reference, overrides: list[str]) -> Job:
    """Your method on the reference's network, images and settings, but for those of them that the command line changes."""
    cell, metrics = reference.record["cell"], list(reference.runs)
    names = {group: _file(group, cell[group]) for group in ("model", "data")}
    rest = [word for word in overrides if word.partition("=")[0] not in ("model", "data", "metric")]
    choice = [*(f"{group}={name}" for group, name in names.items()), f"metric=[{','.join(metrics)}]"]
    config = load([*choice, *rest])
    cfg = config.cfg
    own = [*targets({group: cfg[group] for group in ("model", "data", "metric")})]
    settings = {group: addressed(reference.record["config"][group], own) for group in (*SHARED, "data")}
    with open_dict(cfg):
        cfg.pop("hydra", None)
        for group, keys in SHARED.items():
            cfg[group].update({key: value for key, value in settings[group].items() if keys is None or key in keys})
        here = {key: cfg.data.get(key) for key in (*PLACES, *SELECTION) if key in OmegaConf.to_container(cfg.data)}
        there = {key: value for key, value in settings["data"].items() if key in PLACES and Path(str(value)).exists()}
        here |= {key: value for key, value in there.items() if here.get(key) is None}
        cfg.data.update(
            {key: value for key, value in settings["data"].items() if key not in (*PLACES, *SELECTION)} | here
        )
        for metric, of in reference.runs.items():
            cfg.metric[metric] = addressed(next(iter(of.values()))["config"]["metric"], own)
        for override in map(parsed, rest):
            if override.key_or_group.partition(".")[0] in (*SHARED, "data", "metric"):
                OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
        cfg.data.update(dict.fromkeys(SELECTION) | {"ids": _images(reference, cfg)})
    return open_job(Config(cfg, {**names_of(cell), "method": config.names["method"]}, [*choice, *rest]))


def targets(tree: object) -> Iterator[str]:
    """What a configuration builds, by its import paths."""
    tree = OmegaConf.to_container(tree) if OmegaConf.is_config(tree) else tree
    if isinstance(tree, dict):
        yield from ([tree["_target_"]] if "_target_" in tree else [])
        for value in tree.values():
            yield from targets(value)


def names_of(cell: Mapping[str, str]) -> dict[str, str]:
    return {group: cell[group] for group in ("model", "data")}


def _file(group: str, name: str) -> str:
    """The file of conf/ that a name is of: timm-resnet18 of timm. UserError: it is of none."""
    for candidate in (name, name.partition("-")[0]):
        if file(group, candidate).exists():
            return candidate
    raise UserError(
        f"The rows are of {group}={name}, of which there is no file in conf/{group}; add it, or name another folder."
    )


def _images(reference: Reference, cfg: DictConfig) -> list[str]:
    """Those of the reference, in its order; of these what the command line takes."""
    labels = reference.rows.drop_duplicates("image_id").set_index("image_id")["label"]
    labels = {image: None if pd.isna(label) else int(label) for image, label in labels.items()}
    known = sorted({image for of in reference.images.values() for image in of})
    seed = int(reference.record["config"]["run"].get("image_seed", reference.record["config"]["run"]["seed"]))
    order = fair(known, labels, seed)
    selection = {key: OmegaConf.to_container(cfg.data, resolve=True).get(key) for key in SELECTION}
    return select(order, seed, **selection)


def comparable(job: Job, metric: str, reference: Reference) -> None:
    """UserError: a setting differs from the reference's, or a picture does."""
    record = next(iter(reference.runs[metric].values()))
    settings = records.settings(job.config.cfg, metric)["metric"]
    colour = job.colour["colour"] if settings.get("baseline") == "confusion" else None
    draws = record["draws"] if "draws" in record else said(settings["_target_"]).draws
    here = job.identity(metric).conditions(draws) | {"confusion colour": str(colour)}
    there = records.conditions(record)
    if differing := [key for key in {**there, **here} if here.get(key) != there.get(key)]:
        told = "; ".join(f"{key} is {here.get(key)} here and {there.get(key)} there" for key in differing)
        raise UserError(f"Not comparable with the rows of {reference.folder} by {metric}: {told}.")
    prints = reference.rows.drop_duplicates("image_id").set_index("image_id")["fingerprint"].dropna().str[:SHA256]
    others = [image for image in job.ids if image in prints and job.source.fingerprint(image) != prints[image]]
    if others:
        raise UserError(
            f"Not comparable with the rows of {reference.folder}: {plural(len(others), 'picture')} here, {others[0]} for "
            "one, have other bytes or another label there."
        )


def computed(job: Job, reference: Reference) -> dict[str, str]:
    """Whatever is missing of your own rows. The images that failed, and why."""
    wanted = {metric: set(images) for metric, images in reference.images.items()}
    work = {image: tuple(m for m in metrics if image in wanted[m]) for image, metrics in missing(job).items()}
    work = {image: metrics for image, metrics in work.items() if metrics or job.save_attributions}
    if not work:
        record_all(job)
        print("Nothing to compute: your rows are there.", file=sys.stderr)
        return {}
    return work_off(job, work).failed


def reported(job: Job, reference: Reference, overrides: list[str]) -> tuple[Document, list[Path]]:
    """Your rows among the others, over the images that you have."""
    own = {job.run_id(metric): metric for metric in job.metrics}
    mine = load_rows(job.results, ["fingerprint"])
    mine = mine[mine["run_id"].isin(list(own)) & mine["image_id"].isin(job.ids)]
    theirs = reference.rows[~reference.rows["run_id"].isin(list(own)) & reference.rows["image_id"].isin(job.ids)]
    rows = pd.concat([theirs, mine], ignore_index=True)
    runs = reference.records | {run: record for run, record in records.load_runs(job.results).items() if run in own}
    cells = [runs[run]["cell"] | {"run_id": run} for run in dict.fromkeys([*own, *reference.records])]
    kinds = [quantities.of_metric(cell["metric"], runs[cell["run_id"]]["config"]["metric"]) for cell in cells]
    report = job.config.cfg.report
    numbers = means.measure(rows, pd.DataFrame(cells).assign(quantities=kinds), report.threshold, report.bootstrap)
    numbers = published.nothing(numbers).assign(experiment=None, own=numbers["run_id"].isin(list(own)))
    yours = f"{job.method_name} (yours)"
    numbers["row"] = numbers["method"].where(~numbers["own"], yours)
    numbers = numbers[numbers["n"] + numbers["failed"] > 0]
    numbers, below = judged(numbers, rows, runs, report)
    name = f"compare_{job.method_name}"
    document = Document(
        name=name,
        title=f"{job.method_name} among the rows of {reference.folder.name}",
        numbers=lines.of(numbers),
        tables=[
            *standing.tables(numbers, rows, runs),
            *table.tables(numbers, {}, report.threshold, below),
            standing.cost(numbers, rows, runs),
        ],
        facts=[
            f"{yours}: {plural(len(job.ids), 'image')} on {job.compute.device_name}; the others: {reference.folder}.",
            *records.provenance(numbers, runs),
            standing.NOTE,
            "Mean over images ± half of its 95 % interval; bold: the best mean of a column; †: no row is shown to be better "
            "(all pairs of the column at once, 5 %); share: of the way from random to the ceiling, a search "
            "for the best order.",
            f"{made_again('bench.compare', overrides)}, data.root= where the images lie and {OWN}= where the others' rows.",
        ],
    )
    plan = OmegaConf.create({"name": name})
    drawn = Found(job.config.cfg, overrides, job.results, rows, runs, numbers)
    document.figures = list(forest.exhibit(numbers, runs, plan, drawn))
    paths = document.save(drawn.folder)
    return document, paths + [drawn.folder / name for figure in document.figures for name in figure.files]


if __name__ == "__main__":
    command(__doc__, main)
