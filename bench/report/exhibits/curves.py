"""Mean insertion and deletion curves of all methods of a cell, one run of each."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
from omegaconf import DictConfig

from bench.figures import lines as plots
from bench.report.curves import SIDES
from bench.report.exhibits import ablations
from bench.report.exhibits.exhibit import Figure, Found
from bench.report.quantities import ARROWS, Quantities
from bench.text import slug

PLACE = "Curves"
TURN = 1  # reads the curves of all rows
ABOUT = (
    "What the network says of the target while values are put in or taken out, the most important first. Line: mean over "
    "images; band: its 95 % interval at each point (mean ± 1.96 standard errors). Of a method's runs the usual one is "
    "drawn. Point at a name to see its line alone; press it to keep it."
)
SHARE = dict(zip(SIDES, ("share of values put in", "share of values taken out"), strict=True))


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """Of a report on all rows: a figure per data, network and metric that has curves."""
    if plan is not None:
        return
    scored = found.rows[found.rows["status"] == "ok"].groupby("run_id").size()
    styles = {method: i for i, method in enumerate(sorted(lines["method"].unique()))}
    for (data, model, metric), part in lines.groupby(["data", "model", "metric"], sort=True):
        kinds = dict(part.drop_duplicates("quantity")[["quantity", "kind"]].itertuples(index=False))
        drawn = {side: [] for side in SHARE if side in kinds}
        for method, run_ids in part.groupby("method")["run_id"]:
            run_id = ablations.typical(sorted(run_ids.unique()), runs, scored)
            curves = found.curves.of((data, model, method, metric), run_id, tuple(drawn)) if drawn else None
            for side, line in curves.means["all"].items() if curves else ():
                drawn[side].append(replace(line, name=method))
        if any(drawn.values()):
            yield _figure((data, model, metric), drawn, kinds, styles, found)


def _figure(of: tuple[str, str, str], drawn: dict, kinds: Quantities, styles: dict[str, int], found: Found) -> Figure:
    data, model, metric = of
    panels = [
        plots.Panel(kinds[side].title + ARROWS[kinds[side].better], SHARE[side], kinds[side].unit, of_side, floor=0)
        for side, of_side in drawn.items()
    ]
    return figure(
        f"curves_{slug(*of)}", f"{model} · {metric} · {data}", PLACE, ABOUT, panels, styles, found, page=False
    )


def figure(
    stem: str,
    title: str,
    place: str,
    about: str,
    panels: list[plots.Panel],
    styles: dict[str, int],
    found: Found,
    page: bool = True,
) -> Figure:
    """Panels with one legend, drawn into the report's folder of figures; page: and into its page."""
    files = found.draw(plots.write, found.folder / "figures" / stem, panels, styles)
    pictures = tuple(
        (f"{panel.title}: {title}", plots.svg(f"{stem}-{i}", panel, styles))
        for i, panel in enumerate(panels if page else ())
    )
    names = dict.fromkeys(line.name for panel in panels for line in panel.lines)
    legend = tuple((styles[name], name) for name in names)
    return Figure(title, place, tuple(f"figures/{file.name}" for file in files), pictures, legend, about=about)
