"""What an experiment varies, drawn beside its table: a panel per network, measured and published, over the setting.

Rows that say which setting they are of (param: N; param_value: 10) are points of a line over it. In a figure's experiment
the other rows are bars, each under its label. Of a grid (param: M;T) the last setting is the axis, the others tell lines
apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from bench.experiments import plan as experiments
from bench.experiments.plan import Row
from bench.figures import lines as plots
from bench.report.exhibits.exhibit import Figure, Found
from bench.text import number

PUBLISHED = "published"


@dataclass(frozen=True)
class Point:
    """Where a row stands. x: its value, or its label if that is no number."""

    row: str
    param: str  # "N"; "": the rows have no setting, only labels
    x: str
    line: str  # what of a grid holds for the whole line: "M = 10"; "": it is none


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """Of an experiment that varies a setting, or that is a figure of a paper; not beside a picture of heatmaps."""
    if plan is None or plan.get("panel"):
        return
    if drawn := panels(lines, experiments.rows(plan), figure=bool(plan.get("figure"))):
        files, looks = write(found.folder / plan.name, drawn), styles(drawn)
        pictures = tuple((panel.title, plots.svg(f"{plan.name}-{k}", panel, looks)) for k, panel in enumerate(drawn))
        legend = tuple((index, name) for name, index in looks.items())
        yield Figure(f"Settings: {plan.title}", files=tuple(file.name for file in files), svg=pictures, legend=legend)


def panels(numbers: pd.DataFrame, rows: list[Row], figure: bool) -> list[plots.Panel]:
    """A panel per network, metric and setting, of what has been measured; none if nothing is varied.

    numbers: the table's lines. figure: whether rows without a setting are to be drawn too.
    """
    points = [point for row in rows if (point := _point(row)).param or figure]
    measured = numbers[(numbers["confidence"] == "all") & (numbers["n"] > 0)]
    measured = measured[measured["kind"].map(lambda kind: kind.minus is None).astype(bool)]
    several, found = measured["metric"].nunique() > 1, []
    for (model, metric), part in measured.groupby(["model", "metric"], sort=False):
        for param in dict.fromkeys(point.param for point in points):
            group = [point for point in points if point.param == param and point.row in set(part["row"])]
            if len(group) > 1:
                ticks = () if all(number(point.x) is not None for point in group) else tuple(point.x for point in group)
                title = f"{model} · {metric}" if several else model
                axis = param.split(";")[-1]
                found.append(plots.Panel(title, axis, metric, _lines(part, group, ticks), marks=True, ticks=ticks))
    return found


def write(stem: Path, drawn: list[plots.Panel]) -> list[Path]:
    """<stem>.png and <stem>.pdf."""
    return plots.write(stem, drawn, styles(drawn))


def styles(drawn: list[plots.Panel]) -> dict[str, int]:
    """{line: its index of style}. Colours tell insertion from deletion, and dashes measured from published; of a grid
    colours tell its lines, and dashes insertion from deletion.
    """
    names = dict.fromkeys(line.name for panel in drawn for line in panel.lines)
    heads, tails = ([*dict.fromkeys(name.partition(", ")[part] for name in names)] for part in (0, 2))
    grid = not {"", PUBLISHED} >= set(tails)
    found = {}
    for name in names:
        head, tail = heads.index(name.partition(", ")[0]), tails.index(name.partition(", ")[2])
        colour, dashes = (tail, head) if grid else (head, tail)
        found[name] = colour + len(plots.COLOURS) * dashes
    return found


def _point(row: Row) -> Point:
    setting = row.published or {}
    if "param" not in setting:
        return Point(row.label, "", row.label, "")
    *others, x = setting["param_value"].split(";")
    told = (f"{name} = {value}" for name, value in zip(setting["param"].split(";"), others, strict=False))
    return Point(row.label, setting["param"], x, ", ".join(told))


def _lines(part: pd.DataFrame, group: list[Point], ticks: tuple[str, ...]) -> list[plots.Line]:
    lines = []
    for quantity, of_quantity in part.groupby("quantity", sort=False):
        lined = of_quantity.set_index("row")
        for told in dict.fromkeys(point.line for point in group):
            points = [point for point in group if point.line == told and point.row in lined.index]
            x = np.array([ticks.index(point.x) if ticks else float(point.x) for point in points], dtype=float)
            values = lined.loc[[point.row for point in points]]
            mean, low, high = (values[name].to_numpy(dtype=float) for name in ("mean", "ci_low", "ci_high"))
            lines.append(plots.Line(f"{quantity}, {told}".removesuffix(", "), x, mean, low, high))
            printed = values["published"].to_numpy(dtype=float)
            if not told and not np.isnan(printed).all():
                nothing = np.full(len(x), np.nan)
                lines.append(plots.Line(f"{quantity}, {PUBLISHED}", x, printed, nothing, nothing))
    return lines
