"""The papers' numbers: one line a printed cell."""

import functools
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from bench.choices import ROOT

FOLDER = ROOT / "results" / "published"
KEYS = ["table", "model", "confidence", "label", "metric"]


@functools.cache
def cells(folder: Path = FOLDER) -> pd.DataFrame:
    """All tables. Columns: table (la_table1), model, confidence, label, metric, quantity, value, half, derived.

    label: the method, or, in a table of one method's settings, the setting ("20", "15 20").  half: of the last printed
    digit's unit.  derived: a gap that no table prints, or that is cut off: the difference of the printed scores. Other
    cells that cannot be read are left out.
    """
    tables = [_table(path) for path in sorted(folder.glob("*_table*.csv"))]
    found = pd.concat(tables, ignore_index=True).dropna(subset="value")
    return pd.concat([found.assign(derived=False), _gaps(found).assign(derived=True)], ignore_index=True)


def _table(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    swept = table["param"].ne("").all() and table["method"].nunique() == 1
    label = table["param_value"].str.replace(";", " ") if swept else table["method"]
    value = pd.to_numeric(table["value"])
    half = [half_unit(text) if text else np.nan for text in table["value"]]
    kept = table[["model", "confidence", "metric", "quantity"]]
    return kept.assign(table=path.stem, label=label, value=value, half=half)


def _gaps(found: pd.DataFrame) -> pd.DataFrame:
    """Insertion minus deletion of every cell whose gap cannot be read."""
    wide = found.pivot(index=KEYS, columns="quantity", values=["value", "half"])
    value, half = (wide[name].reindex(columns=["insertion", "deletion", "gap"]) for name in ("value", "half"))
    gap, half = value["insertion"] - value["deletion"], half["insertion"] + half["deletion"]
    missing = gap.notna() & value["gap"].isna()
    return pd.DataFrame({"value": gap, "half": half})[missing].reset_index().assign(quantity="gap")


def half_unit(digits: str) -> float:
    """0.00005 of "0.1234"."""
    return 0.5 * 10.0 ** Decimal(digits).as_tuple().exponent
