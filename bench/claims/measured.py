"""What a results folder holds of the tables that claims speak of: every image's score by every row."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from bench.choices import CONF
from bench.config import load
from bench.experiments import plan
from bench.report import means, paper_table
from bench.report.quantities import SPEED
from bench.store import records
from bench.store.rows import load_rows


def rows(tables: Iterable[str], overrides: list[str]) -> pd.DataFrame:
    """tables: experiments by name; what is no experiment has no rows.  overrides: as of a report on them, data= for one.

    Columns: table, model, metric, quantity, label, image, value and, where all classes are known, group.
    """
    found = []
    for table in tables:
        if (CONF / "experiment" / f"{table}.yaml").exists():
            config = load([f"experiment={table}", *overrides], builders=False)
            results = Path(config.cfg.paths.results)
            there, runs = load_rows(results), records.load_runs(results)
            if not there.empty:
                numbers, *_ = paper_table.numbers(config, there, runs)
                labels = names(config.cfg.experiment)
                found += [part.assign(table=table) for part in _scores(numbers, means.by_image(there), labels)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _scores(
    numbers: pd.DataFrame, images: Mapping[str, pd.DataFrame], labels: Mapping[str, str]
) -> Iterable[pd.DataFrame]:
    measured = numbers[(numbers["confidence"] == "all") & (numbers["n"] > 0) & (numbers["quantity"] != SPEED)]
    for line in measured[measured["row"].isin(labels)].to_dict("records"):
        part = images[line["run_id"]]
        values = means.values(part, line["quantity"], line["kind"])
        scores = pd.DataFrame({"image": part.index, "value": values.to_numpy()})
        classes = means.classes(part)
        scores = scores if classes is None else scores.assign(group=classes)
        of = {name: line[name] for name in ("model", "metric", "quantity")}
        yield scores.assign(label=labels[line["row"]], **of)


def names(experiment: Mapping) -> dict[str, str]:
    """{row: what claims call it}, of rows that stand beside a printed one: the value of what the table varies first, where
    it varies a setting; elsewhere the printed method, or, of several rows of one method, the row's own label.
    """
    beside = {row.label: row.published for row in plan.rows(experiment) if row.published}
    if varied := [of["param"] for of in beside.values() if "param" in of]:
        return {row: of["param_value"].replace(";", " ") for row, of in beside.items() if of.get("param") == varied[0]}
    methods = [of["method"] for of in beside.values()]
    return {row: of["method"] if methods.count(of["method"]) == 1 else row for row, of in beside.items()}
