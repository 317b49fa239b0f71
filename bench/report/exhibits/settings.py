"""What an experiment varies, drawn beside its table: a panel per network, measured and published, over the setting.

Rows that say which setting they are of (param: N; param_value: 10) are points of a line over it. In a figure's experiment
the other rows are bars, each under its label. Of a grid (param: M;T) the last setting is the axis, the others tell lines
apart.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.experiments.plan import Row
from bench.figures import lines as plots
from bench.text import number

PUBLISHED = "published"


@dataclass(frozen=True)
class Point:
    """Where a row stands. x: its value, or its label if that is no number."""

    row: str
    param: str  # "N"; "": the rows have no setting, only labels
    x: str
    line: str  # what of a grid holds for the whole line: "M = 10"; "": it is none


def panels(numbers: pd.DataFrame, rows: list[Row], figure: bool) -> list[plots.Panel]:
    """A panel per network, metric and setting, of what has been measured; none if nothing is varied.

    numbers: the table's lines. figure: whether rows without a setting are to be drawn too.
    """
    points = [point for row in rows if (point := _point(row)).param or figure]
    measured = numbers[(numbers["confidence"] == "all") & (numbers["quantity"] != "gap") & (numbers["n"] > 0)]
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
    """<stem>.png and <stem>.pdf. Colours tell insertion from deletion, and dashes measured from published; of a grid
    colours tell its lines, and dashes insertion from deletion.
    """
    names = dict.fromkeys(line.name for panel in drawn for line in panel.lines)
    heads, tails = ([*dict.fromkeys(name.partition(", ")[part] for name in names)] for part in (0, 2))
    grid = not {"", PUBLISHED} >= set(tails)
    styles = {}
    for name in names:
        head, tail = heads.index(name.partition(", ")[0]), tails.index(name.partition(", ")[2])
        colour, dashes = (tail, head) if grid else (head, tail)
        styles[name] = colour + len(plots.COLOURS) * dashes
    return plots.write(stem, drawn, styles)


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
