"""Runs of one cell that differ in one setting: which of them is the usual one, and what the setting does.

A seed is no setting that one chooses: what other seeds do to all methods of a metric is one figure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from bench.figures.lines import Line, Panel
from bench.report.exhibits import curves
from bench.report.exhibits.exhibit import Figure, Found
from bench.report.quantities import ARROWS
from bench.store import records
from bench.store.rows import PARTITIONS
from bench.text import number, slug
from metrics.quantities import Quantity

SEED = "seed"
VARIED = ("method.", "metric.", "model.", "precision", SEED, "target")  # a device or other weights are no setting
Settings = dict[str, str]
PLACE, ABOUT = (
    "Ablations",
    "Runs that differ in one setting, or in the seed of all methods. Point or bar: mean over images; line: its 95 % "
    "interval.",
)


@dataclass(frozen=True)
class Ablation:
    """What one setting of a method, or the seed of all methods, does to one metric: a line per network, and per value of
    what else varies.
    """

    data: str
    method: str  # "" of all methods
    metric: str
    setting: str  # "epsilon"
    values: tuple[str, ...]  # its values in order, if they are names: words, or seeds; of all methods, their names
    lines: dict[str, list[Line]]  # {quantity: lines}; x is the value, or its place in values
    kinds: dict[str, Quantity]  # what the quantities are


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """Of a report on all rows: a figure per setting, in it a panel per quantity, a line per network."""
    for ablation in seeds_together(find(lines, runs)) if plan is None else ():
        names = dict.fromkeys(line.name for of_quantity in ablation.lines.values() for line in of_quantity)
        panels = [
            Panel(
                kind.title + ARROWS[kind.better],
                ablation.setting if ablation.method else "",
                ablation.metric,
                drawn,
                True,
                ablation.values,
            )
            for kind, drawn in ((ablation.kinds[name], drawn) for name, drawn in ablation.lines.items())
        ]
        title = f"{ablation.method or 'all methods'}: {ablation.setting} · {ablation.metric} · {ablation.data}"
        of = filter(None, (ablation.data, ablation.method, ablation.metric, ablation.setting))
        stem = f"ablation_{slug(*of)}"
        yield curves.figure(stem, title, PLACE, ABOUT, panels, {name: i for i, name in enumerate(names)}, found)


def typical(run_ids: Iterable[str], runs: Mapping[str, dict], scored: Mapping[str, int]) -> str:
    """The run with the most images; of several the one that has most settings in common with the others.

    Runs that vary one setting at a time share theirs with the run they all depart from.
    """
    settings = {run_id: set(_settings(runs.get(run_id, {})).items()) for run_id in run_ids}
    common = {i: sum(len(mine & other) for other in settings.values()) for i, mine in settings.items()}
    return min(settings, key=lambda i: (-scored.get(i, 0), -common[i], i))


def find(numbers: pd.DataFrame, runs: Mapping[str, dict]) -> list[Ablation]:
    """numbers: one line per run, quantity and confidence, as bench.report.means.measure gives them."""
    numbers = numbers[(numbers["confidence"] == "all") & (numbers["n"] > 0) & numbers["run_id"].isin(list(runs))]
    found = []
    for (data, method, metric), part in numbers.groupby(["data", "method", "metric"], sort=True):
        cells = part.drop_duplicates("run_id").set_index("run_id")[PARTITIONS]
        settings = {i: _settings(runs[i]) | {"network": cells.loc[i, "model"]} for i in cells.index}
        for key in sorted({key for flat in settings.values() for key in flat if key.startswith(VARIED)}):
            series = _series(settings, key)
            if series:
                values = sorted({settings[i][key] for ids in series.values() for i in ids}, key=_order)
                named = key == SEED or any(number(value) is None for value in values)
                names = tuple(values) if named else ()
                lines = {
                    quantity: [_line(name, {i: settings[i][key] for i in ids}, names, measured)
                               for name, ids in series.items()]
                    for quantity, measured in part.groupby("quantity", sort=False)
                }  # fmt: skip
                kinds = dict(part.drop_duplicates("quantity")[["quantity", "kind"]].itertuples(index=False))
                found.append(Ablation(data, method, metric, key.partition(".")[2] or key, names, lines, kinds))
    return found


def seeds_together(ablations: Iterable[Ablation]) -> list[Ablation]:
    """As they come, and at the end those of seeds, one for each data and metric: methods side by side, a line per seed."""
    found, seeded = [], defaultdict(list)
    for ablation in ablations:
        if ablation.setting == SEED:
            seeded[ablation.data, ablation.metric].append(ablation)
        else:
            found.append(ablation)
    for (data, metric), together in seeded.items():
        others = {line.name for one in together for lines in one.lines.values() for line in lines}
        points = defaultdict(list)  # {(quantity, seed): [(row, mean, low, high)]}
        for one in together:
            for quantity, lines in one.lines.items():
                for line in lines:
                    row = one.method if len(others) == 1 else f"{one.method}, {line.name}"
                    for place, *estimate in zip(line.x, line.mean, line.low, line.high, strict=True):
                        points[quantity, one.values[int(place)]].append((row, *estimate))
        rows = tuple(sorted({row for of_seed in points.values() for row, *_ in of_seed}))
        of_quantities: dict[str, list[Line]] = {quantity: [] for quantity, _ in points}
        for (quantity, seed), of_seed in sorted(points.items(), key=lambda item: _order(item[0][1])):
            names, *estimates = zip(*of_seed, strict=True)
            x = np.array([rows.index(name) for name in names], dtype=float)
            of_quantities[quantity].append(Line(f"seed {seed}", x, *map(np.array, estimates)))
        kinds = {name: kind for one in together for name, kind in one.kinds.items()}
        found.append(Ablation(data, "", metric, SEED, rows, of_quantities, kinds))
    return found


def _series(settings: dict[str, Settings], key: str) -> dict[str, list[str]]:
    """{its name: run_ids}: runs that agree in all but this key, and do not agree in it."""
    groups = defaultdict(list)
    for run_id, flat in settings.items():
        if key in flat:
            groups[tuple(sorted((k, v) for k, v in flat.items() if k != key))].append(run_id)
    groups = {rest: ids for rest, ids in groups.items() if len({settings[i][key] for i in ids}) > 1}
    rests = {rest: dict(rest) for rest in groups}
    keys = sorted({k for flat in rests.values() for k in flat})
    told = [
        k for k in keys if len({flat.get(k) for flat in rests.values()}) > 1 and not k.startswith(("model", "weights"))
    ]
    return {
        ", ".join([flat["network"], *(f"{k.split('.')[-1]}={flat.get(k)}" for k in told if k != "network")]): groups[
            rest
        ]
        for rest, flat in rests.items()
    }


def _line(name: str, values: dict[str, str], names: tuple[str, ...], measured: pd.DataFrame) -> Line:
    measured = measured.set_index("run_id")
    place = {i: names.index(value) if names else number(value) for i, value in values.items()}
    ids = [i for i in sorted(place, key=place.get) if i in measured.index]
    columns = (measured.loc[ids, column].to_numpy(dtype=float) for column in ("mean", "ci_low", "ci_high"))
    return Line(name, np.array([place[i] for i in ids], dtype=float), *columns)


def _settings(record: dict) -> Settings:
    return records.identity(record)


def _order(text: str) -> tuple[bool, float, str]:
    value = number(text)
    return value is None, value or 0.0, text
