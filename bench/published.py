"""The papers' numbers: found by table, model, method, metric and confidence, and set beside ours as printed."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parents[1] / "results" / "published"
FAMILIES = {"insertion_deletion": "", "unified": "u_", "fair": "f_", "kl": "kl_"}  # ours: the papers' prefix
SCORES = {"infidelity": "infd"}


def beside(numbers: pd.DataFrame, paper: str, table: int | str, rename: Mapping[str, str]) -> pd.DataFrame:
    """`numbers` with three more columns: published (the printed string, or null), difference (ours minus theirs) and
    published_source (the file's name). rename: {our method: the published row it is set beside}.
    """
    source = FOLDER / f"{paper}_table{table}.csv"
    printed = _printed(source)
    found = [
        _value(printed, model, rename.get(method, method), metric, confidence, quantity)
        for model, method, metric, confidence, quantity in numbers[
            ["model", "method", "metric", "confidence", "quantity"]
        ].itertuples(index=False)
    ]
    values = pd.Series([float("nan") if text is None else float(text) for text in found], index=numbers.index)
    return numbers.assign(
        published=pd.Series(found, index=numbers.index, dtype="str"),
        difference=numbers["mean"] - values,
        published_source=pd.Series([text and source.name for text in found], index=numbers.index, dtype="str"),
    )


def _printed(source: Path) -> dict[tuple[str, ...], str]:
    """{(model, method, metric, confidence): printed digits}. Keys with several values, which a table that sweeps a
    setting has, are left out: nothing says which of them a method without that setting stands beside.
    """
    if not source.exists():
        return {}
    table = pd.read_csv(source, dtype="str", keep_default_na=False)
    keys = ["model", "method", "metric", "confidence"]
    table = table[(table["value"] != "") & ~table.duplicated(keys, keep=False)]
    return {tuple(key): value for *key, value in table[[*keys, "value"]].itertuples(index=False)}


def _value(
    printed: dict[tuple[str, ...], str], model: str, method: str, metric: str, confidence: str, quantity: str
) -> str | None:
    """The printed digits; a gap that was not printed is the difference of the printed scores."""
    if metric in SCORES:
        return printed.get((model, method, SCORES[metric], confidence))
    if metric not in FAMILIES:
        return None
    insertion, deletion, own = (
        printed.get((model, method, FAMILIES[metric] + name, confidence))
        for name in ("insertion", "deletion", quantity)
    )
    if own is None and quantity == "gap" and insertion and deletion:
        return str(Decimal(insertion) - Decimal(deletion))
    return own
