"""A verdict for each printed cell that has been run: what equivalence.py says of it, and where it says nothing, why."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from bench.choices import CONF
from bench.experiments import plan as experiments
from bench.experiments.cells import file
from bench.papers import published
from bench.report import equivalence, means
from bench.report.quantities import PROBABILITY, SPEED, in_words
from bench.report.significance import COLUMN
from bench.text import plural

DATA = {"A": "la_release", "B": "imagenet"}  # a published number's images: their source
OTHER_SET = ("guided_ig", "eg", "deeplift", "sg")  # where a table mixes both, these rows are of A, all others of B
NOISE = {
    "share": 0.002,
    PROBABILITY: 0.001,
}  # what rounding and seeds move a mean by: of probabilities, of anything else


def judged(
    numbers: pd.DataFrame, rows: pd.DataFrame, runs: Mapping[str, dict], plan: DictConfig, threshold: float
) -> tuple[pd.DataFrame, list[str]]:
    """`numbers` with the verdicts that published.beside leaves pending, the interval and the margin of each; and notes.

    numbers: published.beside's. rows: load_rows's. runs: their records.
    """
    images, found, whys = means.by_image(rows), {}, Counter()
    for k, line in numbers[numbers["verdict"] == published.PENDING].iterrows():
        verdict = _judged(line, images[line["run_id"]], runs.get(line["run_id"], {}), plan, threshold)
        whys[verdict.why] += bool(verdict.why)
        found[k] = (verdict.word, verdict.low, verdict.high, verdict.margin)
    columns = ["verdict", "difference_low", "difference_high", "margin"]
    said = pd.DataFrame.from_dict(found, orient="index", columns=columns).reindex(numbers.index)
    said["verdict"] = said["verdict"].where(said["verdict"].notna(), numbers["verdict"])
    notes = [f"No verdict on {plural(count, 'cell')}: {why}." for why, count in whys.items() if why]
    return numbers.assign(**said), notes


def margins(numbers: pd.DataFrame, plan: DictConfig) -> dict[tuple, list[str]]:
    """{(data, model, metric, confidence): lines under that table}: what the margin of a verdict is, of each quantity that
    has been run, and which columns cannot fail, run or not.
    """
    found: dict[tuple, list[str]] = {}
    for of, part in numbers.groupby([*COLUMN, "quantity"], sort=False):
        *key, quantity = of
        _, model, metric, confidence = key
        if quantity == SPEED:
            continue
        where = (model, metric, quantity, confidence, plan.get("unnamed_model"))
        if not (column := published.column(plan.paper, plan.table, *where)):
            continue
        kind, lines = part["kind"].iloc[0], found.setdefault(tuple(key), [])
        if (part["n"] > 0).any():
            lines.append(f"Margin of {in_words(kind)}: {equivalence.rule(column, metric, quantity)}.")
        if equivalence.cannot_fail(column, metric, quantity):
            lines.append(
                f"{kind.title} cannot fail: all printed values lie within {equivalence.spread(column):.2g}, which is less "
                "than the margin, so that what agrees with one of these rows agrees with any."
            )
    return found


def _judged(
    line: pd.Series, images: pd.DataFrame, run: Mapping, plan: DictConfig, threshold: float
) -> equivalence.Verdict:
    if line["quantity"] == SPEED:
        return equivalence.Verdict(equivalence.DESIGN_ONLY, why="speeds are the machine's")
    part = means.split(images, line["confidence"], threshold)
    of_column = (line["model"], line["metric"], line["quantity"], line["confidence"], plan.get("unnamed_model"))
    noise = NOISE[PROBABILITY] if line["kind"].unit == PROBABILITY else NOISE["share"] * abs(float(line["published"]))
    printed = next(row.published for row in experiments.rows(plan) if row.label == line["row"])
    source = _images(plan.get("images"), printed["method"] if printed else "")
    same = source == DATA["A"]
    return equivalence.judge(
        means.values(part, line["quantity"], line["kind"]).to_numpy(),
        line["published"],
        metric=line["metric"],
        quantity=line["quantity"],
        column=published.column(plan.paper, plan.table, *of_column) or [np.nan],
        same_images=same,
        withheld=equivalence.withholding(_of_table(line["model"], source), _of_run(run)),
        groups=means.classes(part),
        published_images=max(1, round(equivalence.PUBLISHED_IMAGES * len(part) / len(images))),  # of this split
        noise=noise if same else 0.0,
    )


def _images(images: str | None, method: str) -> str | None:
    """The source of a published number's images; None: nobody says which they are."""
    return DATA.get("A" if images == "mixed" and method in OTHER_SET else "B" if images == "mixed" else images or "")


def _of_table(model: str, source: str | None) -> dict[str, str | None]:
    """What a table's numbers are of: the network, weights and size that conf/model has under its name."""
    shipped = file("model", model) if (CONF / "model" / f"{model}.yaml").exists() else {}
    return {"data": source} | _of_model(shipped)


def _of_run(run: Mapping) -> dict[str, str | None]:
    return {"data": run.get("cell", {}).get("data")} | _of_model(run.get("config", {}).get("model", {}))


def _of_model(settings: Mapping) -> dict[str, str | None]:
    weights = settings.get("weights")
    return {
        "network": settings.get("name"),
        "weights": f"{settings.get('version')}" if weights is None else f"those at {weights}",
        "input size": str(settings.get("size")),
    }
