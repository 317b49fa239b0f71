"""What an evaluation came to: means with their intervals and marks, as a report has them, and pictures."""

import functools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UserError, did_you_mean
from bench.figures import heatmaps, ranked
from bench.images.source import ImageError
from bench.papers import published
from bench.report import intervals, lines, marks, means, quantities
from bench.report import table as tables
from bench.report.document import Document
from bench.report.judged import judged
from bench.report.quantities import ARROWS
from bench.run import computed
from bench.store import records
from bench.store.rows import load_curves, load_rows
from heatproof import notebook

if TYPE_CHECKING:
    from heatproof.case import Case, Method

MARKS = {"best": " *", "level": " †"}
ABOUT = (
    "Mean over images ± half of its 95 % interval. *: the best mean of its column; †: not shown to be worse by these images "
    "(all pairs of the column at once, 5 %)."
)


@dataclass(frozen=True, repr=False)
class Result:
    """Made by `heatproof.evaluate`. Its rows lie in `folder`, and are those of a command line's run."""

    folder: Path
    images: list[str]  # their ids, in the order in which they were given
    methods: list[str]  # what the rows of the table are called, in the order in which they were given
    metrics: list[str]
    run_ids: Mapping[tuple[str, str], str]  # {(method, metric): the run's}
    failed: Mapping[str, Mapping[str, str]]  # {method: {image: why it has no score}}
    remarks: list[str]  # what is odd of the maps
    _case: "Case"
    _given: "Mapping[str, Method]"
    _report: Any  # threshold and bootstrap, as a report takes them

    @functools.cached_property
    def rows(self) -> pd.DataFrame:
        """A row for each image, method and metric: status, confidence, scores, passes, seconds."""
        rows = load_rows(self.folder)
        return rows[rows["run_id"].isin([*self.run_ids.values()]) & rows["image_id"].isin(self.images)]

    @functools.cached_property
    def numbers(self) -> pd.DataFrame:
        """A line for each method, metric, quantity and confidence split: mean, interval, quartiles, n, standing; the CSV of
        a report.
        """
        return lines.of(self._numbers[0])

    @functools.cached_property
    def document(self) -> Document:
        """The tables of a report, of every metric and split."""
        numbers, below = self._numbers
        found = tables.tables(numbers, {}, self._report.threshold, below)
        return Document("evaluation", ", ".join(self.methods), self.numbers, found, [ABOUT], self.notes)

    @property
    def notes(self) -> list[str]:
        """What a reader of the numbers should know."""
        told = [f"{method}: {len(images)} images failed; {next(iter(images))}: {next(iter(images.values()))}."
                for method, images in self.failed.items() if images]  # fmt: skip
        return [*told, *self.remarks]

    def table(self, metric: str | None = None, confidence: str = "all") -> pd.DataFrame:
        """A row for each method, a column for each score, as text: `0.5170 ± 0.0820 *`. The marks: heatproof.result.ABOUT.

        metric: of this one alone.  confidence: all, or the images below (`low`) or above (`high`) report.threshold.
        """
        if confidence not in ("all", "low", "high"):
            raise UserError(f"confidence={confidence!r}: expected all, low or high.")
        chosen = [
            table for table in self.document.tables if table.of and table.of[3] == confidence and not table.folded
        ]
        chosen = [table for table in chosen if metric in (None, table.of[2])]  # type: ignore[index]
        if not chosen:
            raise UserError(
                f"There is no table of {metric or 'anything'}, {confidence} images; metrics: {self._listed}."
            )
        parts = []
        for table in chosen:
            texts = [[_marked(entry) for entry in row] for row in table.rows]
            of = table.of[2] if table.of and len(chosen) > 1 else ""
            names = [f"{of} {column.name}".strip() for column in table.columns]
            parts.append(pd.DataFrame(texts, columns=names).set_index(names[0]).rename_axis("method"))
        found = pd.concat(parts, axis=1)
        counts = [name for name in found if name.rpartition(" ")[2] == "n"]
        if all((found[name] == found[counts[0]]).all() for name in counts):  # said once
            found = found.drop(columns=counts).assign(n=found[counts[0]])
        return found

    def plot(self, metric: str | None = None) -> Figure:
        """Every method's mean and interval, the best on top, a chart for each score. metric: the first, if none is named."""
        metric, there = metric or self.metrics[0], self._numbers[0]
        there = there[(there["confidence"] == "all") & (there["n"] > 0) & (there["metric"] == metric)]
        there = there[[kind.sign != 0 for kind in there["kind"]]]
        if there.empty:
            raise UserError(f"There is nothing to draw of {metric}; metrics: {self._listed}.")
        charts = [_chart(part) for _, part in there.groupby("quantity", sort=False)]
        return notebook.shown(ranked.drawn(charts))

    def panel(self, image: str | int = 0, metric: str | None = None) -> Figure:
        """One image and what each method makes of it, with the curves of the metric where it has some.

        image: its id, or which one of those that were given. Maps that no folder keeps are made again.
        """
        name = self._image(image)
        metric = metric or self.metrics[0]
        if metric not in self.metrics:
            raise UserError(f"metric={metric!r}: expected one of {', '.join(self.metrics)}.")
        maps, curves, pixels, readout = {}, {}, None, "probability"
        for method in self.methods:
            maps[method], pixels = self._map(method, name)
            run_id = self.run_ids[method, metric]
            record = records.load_runs(self.folder)[run_id]
            found = load_curves(self.folder, record["cell"], run_id, [name]).get(name)
            curves[method] = found if found and all(np.size(curve) > 1 for curve in found) else None
            readout = record.get("config", {}).get("metric", {}).get("readout", readout)
        block = heatmaps.Block(name, np.asarray(pixels), maps, curves)
        return notebook.shown(heatmaps.RENDERINGS["overlay"]([block], readout))

    def compare(self, first: str, second: str) -> pd.DataFrame:
        """How the first fares against the second, score by score, over the images that both have.

        difference: of the means, first - second; low, high: its 95 % interval, which holds for all pairs of methods of this
        result at once where there are enough images; verdict: whether they are told apart, and then which one is better.
        """
        for name in (first, second):
            if name not in self.methods:
                raise UserError(f"There is no {name} here.{did_you_mean(name, self.methods)} Methods: {self._all}.")
        if first == second:
            raise UserError(f"{first} is compared with itself: name another of {self._all}.")
        found = []
        images = means.by_image(self.rows)
        for metric in self.metrics:
            for quantity, kind in self._kinds[metric].items():
                if not kind.sign:  # it has no better end
                    continue
                runs = {method: images.get(self.run_ids[method, metric]) for method in self.methods}
                if runs[first] is None or runs[second] is None:
                    continue
                scores = pd.DataFrame({m: means.values(r, quantity, kind) for m, r in runs.items() if r is not None})
                shared = scores.dropna()
                if shared.empty:
                    continue
                groups = means.classes_of(images[self.run_ids[first, metric]], shared.index)
                pairs = marks.pairs(shared.to_numpy(), groups)
                i, j = list(shared).index(first), list(shared).index(second)
                difference, reach = pairs.difference[i, j], pairs.reach[i, j]
                found.append(
                    {
                        "metric": metric,
                        "quantity": quantity,
                        "better": kind.better,
                        first: shared[first].mean(),
                        second: shared[second].mean(),
                        "difference": difference,
                        "low": difference - reach,
                        "high": difference + reach,
                        "verdict": _verdict(first, second, difference, reach, kind.sign, pairs.told),
                        "n": len(shared),
                    }
                )
        return pd.DataFrame(found)

    def __repr__(self) -> str:
        return f"{self.table().to_string()}\n{ABOUT}" + "".join(f"\n{note}" for note in self.notes)

    def _repr_html_(self) -> str:
        return notebook.html(self.document)

    @functools.cached_property
    def _numbers(self) -> tuple[pd.DataFrame, dict]:
        runs, rows, report = records.load_runs(self.folder), self.rows, self._report
        label = {run_id: method for (method, _), run_id in self.run_ids.items()}
        cells = [
            {**runs[run_id]["cell"], "run_id": run_id, "quantities": self._kinds[metric]}
            for metric in self.metrics
            for method in self.methods
            if (run_id := self.run_ids[method, metric])
        ]
        found = means.measure(rows, pd.DataFrame(cells), report.threshold, report.bootstrap)
        found = published.nothing(found).assign(experiment=None)
        found["row"] = found["run_id"].map(label)
        return judged(found, rows, runs, report)

    @functools.cached_property
    def _kinds(self) -> dict[str, quantities.Quantities]:
        runs = records.load_runs(self.folder)
        first = {metric: runs[self.run_ids[self.methods[0], metric]]["config"]["metric"] for metric in self.metrics}
        return {metric: quantities.of_metric(metric, settings) for metric, settings in first.items()}

    @property
    def _listed(self) -> str:
        return ", ".join(self.metrics)

    @property
    def _all(self) -> str:
        return ", ".join(self.methods)

    def _image(self, image: str | int) -> str:
        if isinstance(image, int) and -len(self.images) <= image < len(self.images):
            return self.images[image]
        if image in self.images:
            return str(image)
        raise UserError(f"There is no image {image} here.{did_you_mean(str(image), self.images)}")

    def _map(self, method: str, image: str) -> tuple[np.ndarray | None, Any]:
        """Its map, and the pixels that the network saw."""
        job = self._case.job(self._given[method], [], save=True, images=[image])
        found = job.maps.get(image)
        if found is None:
            with tempfile.TemporaryDirectory() as folder, notebook.silence():
                job = replace(job, results=Path(folder), _run_ids={})
                computed(job)
                found = job.maps.get(image)
        try:
            return found, job.source.load(image).pixels
        except ImageError as error:
            raise UserError(f"{error}.") from error


def _marked(entry: tables.Entry) -> str:
    return entry.text + (MARKS["best"] if entry.bold else MARKS["level"] if entry.dagger else "")


def _chart(part: pd.DataFrame) -> ranked.Chart:
    kind = part["kind"].iloc[0]
    part = part.sort_values("mean", ascending=kind.sign < 0, kind="stable")
    points = [
        ranked.Point(line["row"], *(line[name] for name in ("mean", "ci_low", "ci_high", "standing")))
        for line in part.to_dict("records")
    ]
    return ranked.Chart(f"{part['metric'].iloc[0]}: {kind.title}{ARROWS[kind.better]}", kind.unit, points)


def _verdict(first: str, second: str, difference: float, reach: float, sign: int, told: bool) -> str:
    if not told:
        return f"too few images to tell (it takes {intervals.FEW})"
    if not abs(difference) > reach:
        return "cannot tell"
    return f"{first if sign * difference > 0 else second} is better"


def row_names(methods: Sequence[Any], names: Sequence[str]) -> list[str]:
    """What the rows of a table are called: a name as it was typed, a function's own. UserError: two are the same."""
    found = [method if isinstance(method, str) else name for method, name in zip(methods, names, strict=True)]
    if twice := {label for label in found if found.count(label) > 1}:
        raise UserError(f"Two methods are called {', '.join(sorted(twice))}: give each once, or another name.")
    return found
