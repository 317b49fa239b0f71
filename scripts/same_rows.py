"""Are the rows of several results folders equal, bit for bit? `python scripts/same_rows.py RESULTS OTHER …`

All columns count but what a clock measured; of an image that two processes had, one row. Exits with 1 where folders differ.
"""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from bench.cli import command
from bench.errors import UserError
from bench.text import plural

CLOCK = ["seconds_attribution", "seconds_metric"]


def rows(results: Path) -> pd.DataFrame:
    """In one order. UserError: there are none."""
    files = [file for file in (results / "rows").rglob("*.parquet") if not file.name.startswith((".", "_"))]
    if not files:
        raise UserError(f"{results} holds no rows.")
    found = pd.concat([pq.read_table(file, partitioning=None).to_pandas() for file in files]).drop(columns=CLOCK)
    found = found.sort_values(["run_id", "image_id"]).drop_duplicates(["run_id", "image_id"])
    return found.reset_index(drop=True)


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        raise UserError("name two folders or more.")
    first, *others = ((Path(name), rows(Path(name))) for name in arguments)
    differ = 0
    for folder, found in others:
        try:
            pd.testing.assert_frame_equal(found, first[1], check_exact=True)
            print(f"{folder}: {plural(len(found), 'row')}, equal to those of {first[0]}")
        except AssertionError as error:
            differ = 1
            print(
                f"{folder}: {plural(len(found), 'row')}, not those of {first[0]}: {' '.join(str(error).split())[:300]}"
            )
    return differ


if __name__ == "__main__":
    command(__doc__, main)
