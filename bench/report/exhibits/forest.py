"""Every row's mean and interval, the best on top: a chart per score, a figure per network, metric and data."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from bench.figures import ranked
from bench.report.exhibits.exhibit import Figure, Found
from bench.report.quantities import ARROWS
from bench.text import slug

ABOUT = (
    "Means over images and their 95 % intervals, the best on top. Filled blue: the best of the comparable rows; hollow "
    "blue: with it in the best set, which no row is shown to be better than; orange cross: published; n: images, where rows "
    "have not as many, and then the order says little. Average ranks: over "
    "the images that the rows share; a bar joins rows no two of which are told apart (paired differences of average "
    "ranks, all pairs at once, 5 %)."
)


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """Of all images; where there are two rows or more."""
    there = lines[(lines["confidence"] == "all") & (lines["n"] > 0)]
    for (data, model, metric), part in there.groupby(["data", "model", "metric"], sort=False):
        charts = [_chart(of_quantity, found) for _, of_quantity in part.groupby("quantity", sort=False)]
        if any(len(chart.points) > 1 for chart in charts):
            yield figure("forest", "Means", (data, model, metric), charts, plan, found, page=plan is not None)


def figure(
    kind: str,
    what: str,
    of: tuple[str, str, str],
    charts: list,
    plan: DictConfig | None,
    found: Found,
    page: bool = True,
) -> Figure:
    """The charts of one network, metric and data, drawn beside the report; page: and into its page."""
    data, model, metric = of
    stem = f"figures/{kind}_{slug(*of)}" if plan is None else f"{plan.name}_{kind}_{slug(model, metric)}"
    files = tuple(str(file.relative_to(found.folder)) for file in found.draw(ranked.write, found.folder / stem, charts))
    title = f"{what}: {model} · {metric} · {data}"
    drawn = charts if page else ()  # of all rows it is the explorer that shows them
    pictures = tuple((f"{chart.title}, {title}", ranked.svg(f"{stem}-{k}", chart)) for k, chart in enumerate(drawn))
    return Figure(title, files=files, svg=pictures, about=ABOUT)


def _chart(part: pd.DataFrame, found: Found) -> ranked.Chart:
    kind = part["kind"].iloc[0]
    part = part.sort_values("mean", ascending=kind.sign < 0, kind="stable")
    alike = part["n"].nunique() == 1
    points = [
        ranked.Point(
            named(line["row"], line["run_id"], found) + ("" if alike else f" (n = {line['n']:,})"),
            *(line[name] for name in ("mean", "ci_low", "ci_high", "standing")),
            printed=np.nan if pd.isna(line["published"]) or not line["published"] else float(line["published"]),
            own=bool(line.get("own", False)),
        )
        for line in part.to_dict("records")
    ]
    return ranked.Chart(kind.title + ARROWS[kind.better], kind.unit, points)


def named(row: str, run_id: str, found: Found) -> str:
    """A row, and what tells its run from another of the same cell."""
    return f"{row} ({found.labels[run_id]})" if run_id in found.labels else row
