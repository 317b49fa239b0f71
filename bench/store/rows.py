"""The row store: one hive-partitioned parquet dataset, written so that a crash loses at most the batch in hand.

A row counts as done only as long as its image is still what the row was made from: bench/store/parts.py has the columns.
"""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from bench.store import parts
from bench.store.parts import BROKEN, ORDER, SCHEMA, first_line
from bench.text import plural

ROWS_A_FILE = 1000  # of those that a process joins its own small ones into
PARTITIONS = ["data", "model", "method", "metric"]
SCALARS = ["run_id", "image_id", "status", "label", "confidence", "insertion", "deletion", "score", "chance"]
SCALARS += ["seconds_attribution", "forward_passes", "backward_passes"]  # all that a table needs
LISTINGS = 5  # how often files are listed, if some vanish each time


class Made(NamedTuple):
    """What a row was made from."""

    fingerprint: str  # of the image's bytes and label, and of what else the method read for it
    stamp: str | None  # size and time of the image's file, where it is one


class Rows:
    """The rows of one run: one model, one method, one metric on one data source."""

    def __init__(self, results: Path, cell: Mapping[str, str], run_id: str):
        self.folder = results / "rows" / "/".join(f"{k}={cell[k]}" for k in PARTITIONS)
        self.run_id = run_id
        self._own: dict[Path, int] = {}  # small files that this process has written, and how many rows each has

    def done(self, failures: bool = False) -> dict[str, Made]:
        """Of what each image's row was made, for every row that is not a failure, or for every row."""
        parts.settle(self.folder, self.run_id)
        table = self.read([name for name in SCHEMA.names if name not in parts.CURVES])  # what a report will read
        if not failures:
            table = table.filter(pc.field("status") == "ok")
        images, fingerprints, stamps = (table[name].to_pylist() for name in ("image_id", "fingerprint", "stamp"))
        return {i: Made(print_ or "", stamp) for i, print_, stamp in zip(images, fingerprints, stamps, strict=True)}

    def forget(self, ids: Collection[str]) -> None:
        """Take out what is there of these images, failures for instance, before they are tried again."""
        images = pa.array(list(ids), pa.string())
        concerned = [
            file
            for file, table in parts.tables(self._files(), ["image_id"])
            if pc.any(pc.is_in(table["image_id"], images)).as_py()
        ]
        for file, table in parts.tables(concerned):
            kept = parts.without(table, images)
            if len(kept):
                parts.write(file, kept)
            else:
                file.unlink(missing_ok=True)

    def add(self, rows: Iterable[dict], made: Mapping[str, Made]) -> None:
        """Rows of one batch, safe on disk when this returns, in a file of their own."""
        nothing = Made("", None)
        whole = [{"run_id": self.run_id, **row, **made.get(row["image_id"], nothing)._asdict()} for row in rows]
        self._own[self.put(pa.Table.from_pylist(whole, SCHEMA))] = len(whole)
        if sum(self._own.values()) >= ROWS_A_FILE:
            self.join()

    def put(self, table: pa.Table) -> Path:
        """Rows as they are, in a file of their own."""
        file = parts.new_file(self.folder, self.run_id)
        parts.write(file, table)
        return file

    def join(self) -> None:
        """What this process has written, as one file."""
        parts.join(self.folder, self.run_id, list(self._own))
        self._own = {}

    def read(self, columns: Sequence[str] | None = None, images: Collection[str] | None = None) -> pa.Table:
        """All rows of this run, or those of these images; all columns, or these, image_id among them."""
        found = []
        for _, table in parts.tables(self._files(), columns):
            these = table if images is None else table.filter(pc.field("image_id").isin(list(images)))
            found.append(these.replace_schema_metadata(None))
        return pa.concat_tables(found) if found else SCHEMA.empty_table().select(list(columns or SCHEMA.names))

    def _files(self) -> list[Path]:
        return parts.files(self.folder, self.run_id)


def load_rows(results: Path, more: Sequence[str] = ()) -> pd.DataFrame:
    """The scalars of every row, failed images too, one row per (run_id, image_id), in an order of their own.

    more: columns besides. Of rows that two processes wrote for the same image one is kept, a scored one if there is one.
    """
    folder = results / "rows"
    if not folder.is_dir():
        return pd.DataFrame(columns=[*SCALARS, *more, *PARTITIONS])
    rows = _read(folder, columns=[*SCALARS, *more, *PARTITIONS]).to_pandas()
    rows = rows.sort_values(["run_id", "image_id", *ORDER], kind="stable")
    passed_over = rows.duplicated(["run_id", "image_id"], keep="last")
    if passed_over.any():
        _told_apart(rows[rows.duplicated(["run_id", "image_id"], keep=False) & (rows["status"] == "ok")])
    return rows[~passed_over].reset_index(drop=True)


def _told_apart(twice: pd.DataFrame) -> None:
    """Says of images with several scored rows how far these are apart, if they are."""
    scores = twice.groupby(["run_id", "image_id"])[ORDER[1:]]
    apart = (scores.max() - scores.min()).max(axis=1)
    if (apart > 0).any():
        run, image = apart.idxmax()
        print(
            f"{plural((apart > 0).sum(), 'image')} with several rows that differ, by {apart.max():.1g} at most (run {run}, "
            f"{image}): one counts. `heatproof verify {run}` computes it again.",
            file=sys.stderr,
        )


def load_curves(
    results: Path, cell: Mapping[str, str], run_id: str, images: Collection[str] | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of scored images, all or these: {image_id: (insertion [S], deletion [S])}, read without the rest of the rows."""
    table = Rows(results, cell, run_id).read(["image_id", "status", *parts.CURVES], images)
    found = table.filter(pc.field("status") == "ok").drop_columns("status").to_pandas()
    return {i: (np.asarray(a), np.asarray(b)) for i, a, b in found.itertuples(index=False)}


def stacked_curves(
    results: Path, cell: Mapping[str, str], run_id: str, sides: Sequence[str]
) -> tuple[pd.Index, dict[str, np.ndarray]]:
    """The scored images of a run that have curves, each once, and {side: [n, S]}; no image if its metric has none.

    sides: insertion, deletion.
    """
    names = [f"{side}_curve" for side in sides]
    table = Rows(results, cell, run_id).read(["image_id", "status", *names])
    about = table.select(["image_id", "status"]).to_pandas()
    kept = about["status"] == "ok"
    for name in names:
        kept &= pc.list_value_length(table[name]).to_pandas().fillna(0) > 1
    kept &= ~about[kept].duplicated("image_id").reindex(about.index, fill_value=True)
    table = table.filter(pa.array(kept))
    flat = {side: pc.list_flatten(table[name]).to_numpy() for side, name in zip(sides, names, strict=True)}
    stacked = {side: values.reshape(len(table), -1) for side, values in flat.items()} if len(table) else {}
    return pd.Index(about.loc[kept, "image_id"]), stacked


def _read(folder: Path, **wanted: object) -> pa.Table:
    """The partition columns as strings, whatever they look like. While runs go on, a file that was listed may be gone
    when its turn comes: the files are listed again then."""
    keys = pa.schema([(key, pa.string()) for key in PARTITIONS])
    settings = {"schema": pa.unify_schemas([SCHEMA, keys]), "partitioning": ds.partitioning(keys, flavor="hive")}
    files: Path | list[str] = folder
    for attempt in range(LISTINGS):
        try:
            dataset = ds.dataset(files, format="parquet", partition_base_dir=str(folder), **settings)
            return parts.whole(dataset.to_table(**wanted))
        except (FileNotFoundError, *BROKEN) as error:
            if attempt == LISTINGS - 1 or isinstance(error, PermissionError):
                raise
            files = folder if isinstance(error, FileNotFoundError) else _readable(folder)
    raise AssertionError


def _readable(folder: Path) -> list[str]:
    """The files that can be read. Those that cannot are named."""
    files = []
    for file in sorted(folder.rglob("[!._]*.parquet")):
        try:
            parts.as_now(pq.ParquetFile(file).read(), SCHEMA.names)
        except FileNotFoundError:
            continue
        except BROKEN as error:
            print(
                f"Passed over, as it cannot be read ({first_line(error)}): {file}. The next run computes it again.",
                file=sys.stderr,
            )
            continue
        files.append(str(file))
    return files
