"""The papers' numbers: found by table, model, row, metric and confidence, and set beside ours as printed.

In place of a verdict: not run; not readable (the paper's text is cut there); derived (a difference of printed numbers that
is not printed itself); impossible (results/published/impossible.csv says which contradiction); else it is `pending`.
"""

import functools
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pandas as pd

from bench.choices import ROOT
from metrics.quantities import Quantity

FOLDER = ROOT / "results" / "published"
PENDING, DERIVED = "pending", "derived"
Printed = Mapping[tuple[str, ...], str]  # {(model, method, metric, quantity, confidence[, param, its value]): digits}


def beside(
    numbers: pd.DataFrame,
    paper: str,
    table: int | str,
    rows: Mapping[str, Mapping[str, str] | None],
    unnamed_model: str | None = None,
) -> pd.DataFrame:
    """`numbers` with four more columns: published (the printed string, or null), difference (ours minus theirs),
    published_source (the file's name) and verdict (what stands in its place, or empty where the paper has no such cell).

    rows: {our row: the printed one's method, param and param_value, or None}. unnamed_model: which of our networks
    stands for the one that the paper does not name.
    """
    source = FOLDER / f"{paper}_table{table}.csv"
    printed, wrong = _printed(source), impossible(paper, table)
    found = []
    for line in numbers.to_dict("records"):
        row = rows.get(line["row"])
        model = "" if line["model"] == unnamed_model else line["model"]
        of = (line["metric"], line["confidence"], line["quantity"], line["kind"])
        found.append(_value(printed, model, row, *of) if row else (None, False))
    numbers = numbers.assign(
        published=pd.Series([text or None for text, _ in found], index=numbers.index, dtype="str"),
        published_source=pd.Series([text and source.name for text, _ in found], index=numbers.index, dtype="str"),
    )
    numbers["difference"] = numbers["mean"] - numbers["published"].astype(float)
    each = zip(found, numbers["model"], numbers["n"], strict=True)
    return numbers.assign(verdict=[_place(*cell, model in wrong, n) for cell, model, n in each])


def column(
    paper: str,
    table: int | str,
    model: str,
    metric: str,
    quantity: str,
    confidence: str,
    unnamed_model: str | None = None,
) -> list[float]:
    """All printed values of a column, whatever rows we set beside them."""
    named = "" if model == unnamed_model else model
    printed = _printed(FOLDER / f"{paper}_table{table}.csv")
    wanted = (named, metric, quantity, confidence)
    full = {key: text for key, text in printed.items() if (key[0], *key[2:5]) == wanted and len(key) == 7}
    return [float(text) for text in full.values() if text]


def nothing(numbers: pd.DataFrame) -> pd.DataFrame:
    """`numbers` with the columns of `beside`, of a table that no paper prints."""
    nan = float("nan")
    of_verdicts = dict.fromkeys(["difference", "difference_low", "difference_high", "margin"], nan)
    return numbers.assign(published=None, published_source=None, **of_verdicts, verdict="", contradictions=None)


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
            if row and (text := _value(printed, network, row, metric, confidence, quantity, kind)[0]) is not None
        }
        for network in networks
    }
    return pd.DataFrame(there).dropna(how="all")


def _place(printed: str | None, derived: bool, wrong: bool, n: int) -> str:
    """What stands in a verdict's place. printed: the digits; empty if they cannot be read; None: there is no such cell."""
    if printed is None:
        return ""
    if wrong:
        return "impossible"
    if not printed:
        return "not readable"
    if not n:
        return "not run"
    return DERIVED if derived else PENDING


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
) -> tuple[str | None, bool]:
    """The printed digits, empty if unreadable, None if there are none; and whether they are a difference that was not
    printed, or cut, taken of the printed numbers. What is a row's whatever the metric, speed, stands under no metric.
    """
    setting = (row["param"], row["param_value"]) if "param" in row else ()

    def cell(name: str) -> str | None:
        keys = ((model, row["method"], of, name, confidence, *setting) for of in (metric, ""))
        return next((printed[key] for key in keys if key in printed), None)

    own = cell(quantity)
    if not own and kind.minus and all(parts := [cell(name) for name in kind.minus]):
        return str(Decimal(parts[0]) - Decimal(parts[1])), True
    return own, False
