"""The papers' numbers: found by table, model, row, metric and confidence, set beside ours as printed, and judged.

Verdicts: reproduced (the published value is inside our interval), close (within the tolerance), off; not run; not
readable (the paper's text is cut there); impossible (results/published/impossible.csv says which contradiction).
"""

import functools
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from metrics.quantities import Quantity

FOLDER = Path(__file__).parents[2] / "results" / "published"
TOLERANCE = {"absolute": 0.01, "relative": 0.05}  # of probabilities; of anything else, as a share of the printed value
Printed = Mapping[tuple[str, ...], str]  # {(model, method, metric, quantity, confidence[, param, its value]): digits}


def beside(
    numbers: pd.DataFrame,
    paper: str,
    table: int | str,
    rows: Mapping[str, Mapping[str, str] | None],
    unnamed_model: str | None = None,
    tolerance: Mapping[str, float] = TOLERANCE,
) -> pd.DataFrame:
    """`numbers` with four more columns: published (the printed string, or null), difference (ours minus theirs),
    published_source (the file's name) and verdict (a word, or empty where the paper has no such cell).

    rows: {our row: the printed one's method, param and param_value, or None}. unnamed_model: which of our networks
    stands for the one that the paper does not name.
    """
    source = FOLDER / f"{paper}_table{table}.csv"
    printed, wrong = _printed(source), impossible(paper, table)
    found = []
    for line in numbers.to_dict("records"):
        row = rows.get(line["row"])
        model = "" if line["model"] == unnamed_model else line["model"]
        found.append(
            row and _value(printed, model, row, line["metric"], line["confidence"], line["quantity"], line["kind"])
        )
    numbers = numbers.assign(
        published=pd.Series([text or None for text in found], index=numbers.index, dtype="str"),
        published_source=pd.Series([text and source.name for text in found], index=numbers.index, dtype="str"),
    )
    numbers["difference"] = numbers["mean"] - numbers["published"].astype(float)
    judged = zip(found, numbers.to_dict("records"), strict=True)
    return numbers.assign(verdict=[verdict(text, line, tolerance, wrong) for text, line in judged])


def nothing(numbers: pd.DataFrame) -> pd.DataFrame:
    """`numbers` with the columns of `beside`, of a table that no paper prints."""
    return numbers.assign(
        published=None, difference=float("nan"), published_source=None, verdict="", contradictions=None
    )


def tolerance(cfg: DictConfig) -> dict[str, float]:
    """TOLERANCE, as far as report.tolerance says nothing else."""
    return TOLERANCE | dict(cfg.report.get("tolerance") or {})


def elsewhere(
    paper: str,
    table: int | str,
    rows: Mapping[str, Mapping[str, str] | None],
    metric: str,
    confidence: str,
    quantity: str,
    kind: Quantity,
) -> pd.DataFrame:
    """The printed values of a quantity, [row, network], NaN where they cannot be read; without networks whose values
    cannot be right, and without rows that have no printed counterpart. Empty if the table has no such quantity.
    """
    printed, wrong = _printed(FOLDER / f"{paper}_table{table}.csv"), impossible(paper, table)
    networks = dict.fromkeys(key[0] for key in printed if key[0] and key[0] not in wrong)
    there = {
        network: {
            label: float(text or "nan")
            for label, row in rows.items()
            if row and (text := _value(printed, network, row, metric, confidence, quantity, kind)) is not None
        }
        for network in networks
    }
    return pd.DataFrame(there).dropna(how="all")


def verdict(printed: str | None, line: Mapping, tolerance: Mapping[str, float], wrong: Mapping[str, str] = {}) -> str:  # noqa: B006
    """One word. printed: the digits; empty if they cannot be read; None if the paper has no such cell."""
    if printed is None:
        return ""
    if line["model"] in wrong:
        return "impossible"
    if not printed:
        return "not readable"
    if not line["n"]:
        return "not run"
    value = float(printed)
    if line["ci_low"] <= value <= line["ci_high"]:
        return "reproduced"
    allowed = tolerance["absolute"] if line["kind"].unit == "probability" else tolerance["relative"] * abs(value)
    return "close" if abs(line["difference"]) <= allowed else "off"


def impossible(paper: str, table: int | str) -> dict[str, str]:
    """{network: the contradiction that says why none of its cells in this table can be right}."""
    known = pd.read_csv(FOLDER / "impossible.csv", dtype="str")
    known = known[(known["paper"] == paper) & (known["table"] == str(table))]
    return dict(zip(known["model"], known["contradiction"], strict=True))


@functools.cache
def _printed(source: Path) -> Printed:
    """Each printed cell under its full key, and without its setting where that leaves no choice."""
    if not source.exists():
        return {}
    table = pd.read_csv(source, dtype="str", keep_default_na=False)
    keys = ["model", "method", "metric", "quantity", "confidence"]
    short = table[~table.duplicated(keys, keep=False)]
    cells = {tuple(key): value for *key, value in short[[*keys, "value"]].itertuples(index=False)}
    full = table[[*keys, "param", "param_value", "value"]]
    return cells | {tuple(key): value for *key, value in full.itertuples(index=False)}


def _value(
    printed: Printed, model: str, row: Mapping[str, str], metric: str, confidence: str, quantity: str, kind: Quantity
) -> str | None:
    """The printed digits, empty if unreadable, None if there are none; a difference that was not printed, or cut, is that
    of the printed numbers. What is a row's whatever the metric, speed, stands under no metric.
    """
    setting = (row["param"], row["param_value"]) if "param" in row else ()

    def cell(name: str) -> str | None:
        keys = ((model, row["method"], of, name, confidence, *setting) for of in (metric, ""))
        return next((printed[key] for key in keys if key in printed), None)

    own = cell(quantity)
    if not own and kind.minus and all(parts := [cell(name) for name in kind.minus]):
        return str(Decimal(parts[0]) - Decimal(parts[1]))
    return own
