"""A line of a report, what its CSV has one of for each row, confidence and quantity: its columns and their types."""

import pandas as pd

from bench.errors import UserError

FORMAT = 3  # raised when a column goes, comes or means something else
SCHEMA = {
    "experiment": "str",
    "data": "str",
    "model": "str",
    "method": "str",
    "metric": "str",
    "row": "str",
    "confidence": "str",  # all, low, high
    "quantity": "str",
    "mean": "float",
    "ci_low": "float",
    "ci_high": "float",
    "q1": "float",  # quartiles over images
    "median": "float",
    "q3": "float",
    "share": "float",  # of what is possible, and its 95 % interval (bench/report/ceiling.py)
    "share_low": "float",
    "share_high": "float",
    "n": "int",  # images that were scored
    "failed": "int",
    "standing": "str",  # best: of the best mean; level: with it in the column's best set; or nothing
    "published": "str",  # as it is printed
    "difference": "float",
    "difference_low": "float",  # the 90 % interval that the verdict rests on, and its margin
    "difference_high": "float",
    "margin": "float",
    "verdict": "str",
    "run_id": "str",  # nothing: not run
    "published_source": "str",
    "contradictions": "str",  # "1 6 10"
}
TYPES = {"str": "object", "float": "float64", "int": "int64"}


def of(numbers: pd.DataFrame) -> pd.DataFrame:
    """The columns of the schema, of the schema's types."""
    return typed(numbers[list(SCHEMA)], SCHEMA)


def types(numbers: pd.DataFrame) -> dict[str, str]:
    """{column: str, float or int} of any numbers."""
    kinds = {"f": "float", "i": "int", "u": "int"}
    return {name: kinds.get(column.dtype.kind, "str") for name, column in numbers.items()}


def typed(numbers: pd.DataFrame, schema: dict[str, str]) -> pd.DataFrame:
    """UserError: a column that cannot be of its type."""
    try:
        found = numbers.astype({name: TYPES[kind] for name, kind in schema.items()})
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"The lines of this report are not of format {FORMAT}: {error}.") from error
    texts = [name for name, kind in schema.items() if kind == "str"]
    return found.assign(**{name: found[name].where(found[name].notna(), None) for name in texts})
