"""All reports as one page that needs no other file: tables, curves, ablations and a gallery of heatmaps.

`write` makes <results>/report/index.html of what lies in <results>: its rows, and the tables that experiments have left
in <results>/report/*.csv. The figures also go to <results>/report/figures, as PNG and PDF.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from omegaconf import DictConfig

from bench.figures import lines as plots
from bench.papers import contradictions
from bench.report import means, render, sheets, significance
from bench.report.exhibits import ablations, gallery
from bench.report.render import ARROWS, TITLES
from bench.store import records
from bench.store.rows import PARTITIONS, Rows, load_rows

TEMPLATES = Path(__file__).parent / "templates"
NUMBERS = [*PARTITIONS, "confidence", "quantity", "mean", "ci_low", "ci_high", "n", "failed", "run_id"]
TEXTS = ["row", "run_id", "published", "standing", "verdict", "contradictions"]
SIDES = ("insertion", "deletion")
SHARE = {"insertion": "share of values put in", "deletion": "share of values taken out"}
READOUTS = {"kl": "KL(uniform ‖ p), nats"}

Shown = dict[tuple[str, str, str], dict[str, str]]  # {(data, model, metric): {method: run_id}}


@dataclass(frozen=True)
class Section:
    """One experiment, or one network's rows."""

    id: str
    title: str
    facts: list[str]
    notes: list[str]
    files: list[str]  # beside the page
    tabs: list[sheets.Tab]
    verdicts: dict[str, int]  # how often each was said
    measured: int = 0  # cells that have been run, of
    cells: int = 0  # so many
    contradictions: dict[int, tuple[str, str | None]] = field(default_factory=dict)  # those that touch it: title, place


@dataclass(frozen=True)
class Figure:
    """Pictures with one legend."""

    title: str
    pictures: list[tuple[str, Markup]]  # what it shows, in words; <svg>
    legend: list[tuple[int, str]]  # index of style, name
    files: list[str]  # beside the page


def write(results: Path, cfg: DictConfig, numbers: pd.DataFrame | None = None, footers: Mapping | None = None) -> Path:
    """The page's path. numbers, footers: of all runs, as a report has them; worked out here if not given."""
    rows, runs = load_rows(results), records.load_runs(results)
    if numbers is None:
        numbers, footers = _measured(rows, runs, cfg)
    numbers, folder = _tolerant(numbers), results / "report"
    scored = rows[rows["status"] == "ok"].groupby("run_id").size()
    exhibits, there = _exhibits(results, cfg, runs, scored)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["code"] = _code
    page = environment.get_template("page.html").render(
        facts=records.provenance(numbers, {i: record for i, record in runs.items() if "versions" in record}),
        experiments=_experiments(folder, cfg.report.threshold),
        networks=_networks(numbers, runs, cfg.report.threshold, footers or {}),
        curves=_curves(results, folder, runs, _usual(rows, runs, scored)),
        ablations=_ablations(folder, ablations.find(numbers, runs)),
        exhibits=exhibits,
        halls=_halls(exhibits),
        there=there,
        metric=next(iter(cfg.get("metric") or ()), ""),
        symbols=sheets.VERDICTS,
        style=plots.style,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def _measured(rows: pd.DataFrame, runs: dict[str, dict], cfg: DictConfig) -> tuple[pd.DataFrame, dict]:
    """The means of every run, which are the best, and the lines below the tables: significance.compare's."""
    kinds = {metric: means.quantities(part) for metric, part in rows.groupby("metric")}
    cells = rows[[*PARTITIONS, "run_id"]].drop_duplicates().sort_values([*PARTITIONS, "run_id"])
    cells = cells.assign(row=cells["method"], quantities=[kinds[metric] for metric in cells["metric"]])
    threshold, draws = cfg.report.threshold, cfg.report.bootstrap
    numbers = means.measure(rows, cells, threshold, draws).assign(published=None)
    return significance.compare(numbers, rows, runs, threshold, draws)


def _usual(rows: pd.DataFrame, runs: dict[str, dict], scored: Mapping[str, int]) -> Shown:
    """One run of each method."""
    cells = rows[[*PARTITIONS, "run_id"]].drop_duplicates()
    return {
        key: {method: ablations.typical(sorted(ids), runs, scored) for method, ids in part.groupby("method")["run_id"]}
        for key, part in cells.groupby(["data", "model", "metric"])
    }


def _tolerant(numbers: pd.DataFrame) -> pd.DataFrame:
    """With the columns that only some tables have."""
    optional = {"row": numbers["method"]} | dict.fromkeys(
        ("standing", "published", "difference", "verdict", "contradictions")
    )
    return numbers.assign(**{name: values for name, values in optional.items() if name not in numbers})


def _experiments(folder: Path, threshold: float) -> list[Section]:
    """What `python -m bench.report experiment=NAME` has left in this folder."""
    found = []
    for file in sorted(folder.glob("*.csv"), key=_natural):
        numbers = pd.read_csv(file, dtype=dict.fromkeys(TEXTS, "str"))
        if {*NUMBERS, "experiment"} <= set(numbers) and numbers["experiment"].notna().any():
            numbers = _tolerant(numbers)
            cells = numbers.drop_duplicates([*PARTITIONS, "row"])
            title, facts, notes, footers = _prose(file.with_suffix(".md"))
            files = [file.with_suffix(ending) for ending in (".md", ".csv", ".tex", ".png", ".pdf")]
            found.append(
                Section(
                    id=f"experiment-{file.stem}",
                    title=title or file.stem,
                    facts=facts,
                    notes=notes,
                    files=[path.name for path in files if path.exists()],
                    tabs=sheets.tabs(numbers, {}, threshold, footers),
                    verdicts=sheets.verdicts(numbers),
                    measured=int(cells["run_id"].notna().sum()),
                    cells=len(cells),
                    contradictions=_contradictions(numbers, folder),
                )
            )
    return found


def _contradictions(numbers: pd.DataFrame, folder: Path) -> dict[int, tuple[str, str | None]]:
    """Title and place of every entry of docs/contradictions.md that touches these numbers."""
    entries = contradictions.entries()
    touching = {number for text in numbers["contradictions"] for number in contradictions.numbers(text)}
    return {n: (entries[n].title, contradictions.href(n, folder)) for n in sorted(touching & set(entries))}


def _prose(file: Path) -> tuple[str | None, list[str], list[str], dict[str, list[str]]]:
    """Of a report in Markdown its title, the list under it, the notes at its end, and {table's title: lines below it}."""
    if not file.exists():
        return None, [], [], {}
    head, *parts = file.read_text(encoding="utf-8").split("\n## ")
    title = re.match(r"# (.*)", head)
    bodies = {heading: body.splitlines() for heading, _, body in (part.partition("\n") for part in parts)}
    bodies.pop(render.TOUCHED, None)
    notes = [re.sub(r"^\d+\. ", "", line) for line in bodies.pop("Notes", []) if line]
    below = {
        heading: [line for line in body if line and line[0] != "|" and not line.startswith(render.TOUCHED)]
        for heading, body in bodies.items()
    }
    return title and title[1], re.findall(r"^- (.*)", head, re.M), notes, below


def _networks(numbers: pd.DataFrame, runs: dict[str, dict], threshold: float, footers: Mapping) -> list[Section]:
    """Everything that has rows, by data and network."""
    found, below = [], {render.title(*key, threshold): lines for key, lines in footers.items()}
    for (data, model), part in numbers.groupby(["data", "model"], sort=False):
        labels = {}
        for _, cell in part.groupby(["method", "metric"]):
            if cell["run_id"].nunique() > 1:
                labels |= records.labels({i: runs.get(i, {}) for i in cell["run_id"].unique()})
        keys = [
            (metric, method, _natural(labels.get(run_id, "")))
            for metric, method, run_id in part[["metric", "method", "run_id"]].itertuples(index=False)
        ]
        part = part.iloc[sorted(range(len(part)), key=keys.__getitem__)]
        id = f"rows-{_slug(data, model)}"
        found.append(Section(id, f"{model} on {data}", [], [], [], sheets.tabs(part, labels, threshold, below), {}))
    return found


def _curves(results: Path, folder: Path, runs: dict[str, dict], shown: Shown) -> list[Figure]:
    """Mean insertion and deletion of all methods of a cell, one run of each."""
    methods = sorted({method for cell in shown.values() for method in cell})
    styles, figures = {method: i for i, method in enumerate(methods)}, []
    for (data, model, metric), chosen in shown.items():
        lines = {side: [] for side in SIDES}
        for method, run_id in chosen.items():
            cell = {"data": data, "model": model, "method": method, "metric": metric}
            found = _stacked(Rows(results, cell, run_id).read().to_pandas())
            for side, curves in found.items():
                lines[side].append(plots.mean_curve(method, curves))
        if any(lines.values()):
            readout = runs.get(next(iter(chosen.values())), {}).get("config", {}).get("metric", {}).get("readout")
            y = READOUTS.get(readout, readout or "probability")
            panels = [
                plots.Panel(TITLES[side] + ARROWS[means.SIGN[side]], SHARE[side], y, lines[side], floor=0)
                for side in SIDES
            ]
            title, stem = f"{model} · {metric} · {data}", f"curves_{_slug(data, model, metric)}"
            figures.append(_figure(folder, stem, title, panels, styles))
    return figures


def _stacked(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """{side: [n, S]} of the scored images of a run, each once; nothing if the metric has no curves."""
    if not {f"{side}_curve" for side in SIDES} <= set(rows):
        return {}
    rows = rows[rows["status"] == "ok"].drop_duplicates("image_id")
    rows = rows[[curve is not None and len(curve) > 1 for curve in rows["insertion_curve"]]]
    return {side: np.stack(rows[f"{side}_curve"]).astype(float) for side in SIDES} if len(rows) else {}


def _ablations(folder: Path, found: list[ablations.Ablation]) -> list[Figure]:
    """A figure per setting: a panel per quantity, a line per network."""
    figures = []
    for ablation in found:
        names = list(dict.fromkeys(line.name for lines in ablation.lines.values() for line in lines))
        panels = [
            plots.Panel(
                TITLES.get(name, name) + ARROWS[means.sign(ablation.metric, name)],
                ablation.setting,
                ablation.metric,
                lines,
                True,
                ablation.values,
            )
            for name, lines in ablation.lines.items()
        ]
        title = f"{ablation.method}: {ablation.setting} · {ablation.metric} · {ablation.data}"
        stem = f"ablation_{_slug(ablation.data, ablation.method, ablation.metric, ablation.setting)}"
        figures.append(_figure(folder, stem, title, panels, {name: i for i, name in enumerate(names)}))
    return figures


def _figure(folder: Path, stem: str, title: str, panels: list[plots.Panel], styles: Mapping[str, int]) -> Figure:
    files = plots.write(folder / "figures" / stem, panels, styles)
    pictures = [
        (f"{panel.title}: {title}", Markup(plots.svg(f"{stem}-{i}", panel, styles))) for i, panel in enumerate(panels)
    ]
    names = dict.fromkeys(line.name for panel in panels for line in panel.lines)
    return Figure(title, pictures, [(styles[name], name) for name in names], [f"figures/{file.name}" for file in files])


def _exhibits(
    results: Path, cfg: DictConfig, runs: dict[str, dict], scored: Mapping[str, int]
) -> tuple[list[gallery.Exhibit], int]:
    """As many images as there is room for, and of how many there are maps."""
    saved = gallery.saved(results, {i: record for i, record in runs.items() if i in scored})
    halls, images = {}, {}
    for key, maps in saved.items():
        by_method = pd.Series({i: runs[i]["cell"]["method"] for i in maps})
        halls[key] = {
            method: ablations.typical(sorted(part.index), runs, scored) for method, part in by_method.groupby(by_method)
        }
        counts = pd.Series([image for run_id in halls[key].values() for image in maps[run_id]]).value_counts()
        images[key] = sorted(counts.index, key=lambda image: (-counts[image], _natural(image)))

    source = cache(lambda key: gallery.photographs(cfg, key[0], runs[next(iter(halls[key].values()))]))
    judged = cache(lambda key: _judged(results, runs, set(halls[key].values()), set(images[key][: gallery.IMAGES])))
    exhibits, room = [], gallery.BYTES
    for key, image in gallery.chosen(images):
        photograph = gallery.pixels(source(key), image)
        hung = {method: run_id for method, run_id in halls[key].items() if image in saved[key][run_id]}
        rows = [judged(key).get((runs[run_id]["attribution_id"], image), {}) for run_id in hung.values()]
        facts = next((row for metrics in rows for row in metrics.values()), {})
        maps = []
        for (method, run_id), scores in zip(hung.items(), gallery.scores(rows), strict=True):
            attribution = np.load(saved[key][run_id][image], allow_pickle=False)
            maps.append(gallery.Map(method, gallery.painted(attribution, photograph), scores))
        exhibit = gallery.Exhibit(
            *key,
            image,
            photograph=None if photograph is None else gallery.thumbnail(photograph.transpose(1, 2, 0)),
            facts={
                name: facts[name]
                for name in ("label", "prediction", "target", "confidence")
                if pd.notna(facts.get(name))
            },
            small=attribution.shape[-1] < gallery.SIDE,
            maps=maps,
        )
        room -= exhibit.size
        if room < 0:
            break
        exhibits.append(exhibit)
    return exhibits, sum(map(len, images.values()))


def _halls(exhibits: list[gallery.Exhibit]) -> dict[str, list[tuple[int, gallery.Exhibit]]]:
    """{title: [(place among all, exhibit)]}, by data and network."""
    halls = {}
    for i, exhibit in enumerate(exhibits):
        halls.setdefault(f"{exhibit.model} · {exhibit.data}", []).append((i, exhibit))
    return halls


def _judged(results: Path, runs: dict[str, dict], shown: set[str], images: set[str]) -> dict[tuple, dict[str, dict]]:
    """{(attribution_id, image): {metric: row}}: every metric that the shown runs' maps were scored by."""
    wanted, found = {runs[i]["attribution_id"] for i in shown}, {}
    for run_id, record in runs.items():
        if record.get("attribution_id") in wanted:
            rows = Rows(results, record["cell"], run_id).read().to_pandas()
            if len(rows):
                rows = rows[rows["image_id"].isin(images) & (rows["status"] == "ok")]
            for row in rows.to_dict("records"):
                found.setdefault((record["attribution_id"], row["image_id"]), {})[record["cell"]["metric"]] = row
    return found


def _code(text: str) -> Markup:
    """`…` as code."""
    parts = (
        Markup(f"<code>{escape(part)}</code>") if i % 2 else escape(part) for i, part in enumerate(text.split("`"))
    )
    return Markup("").join(parts)


def _slug(*names: str) -> str:
    return re.sub(r"[^\w.-]+", "-", "_".join(names))


def _natural(path: Path | str) -> list:
    """la_table9 before la_table10."""
    name = path.stem if isinstance(path, Path) else path
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)]
