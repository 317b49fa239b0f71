"""The row store: one hive-partitioned parquet dataset, written so that a crash loses at most the batch in hand.

A process writes files of its own, each first under a hidden name and then renamed, so a reader sees whole files only.
Each file carries, beside its columns, the fingerprints and stamps of its images: a row counts as done only as long as the
image is still the one it was made from.
"""

import json
import sys
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from bench.store.atomic import atomic_write

SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("image_id", pa.string()),
        ("label", pa.int64()),
        ("prediction", pa.int64()),
        ("target", pa.int64()),  # the class that was explained and scored
        ("confidence", pa.float64()),  # largest softmax probability of the clean image
        ("status", pa.string()),  # ok | failed
        ("error", pa.string()),
        ("seconds_attribution", pa.float64()),  # of the batch, divided by its images
        ("seconds_metric", pa.float64()),  # likewise; passes that metrics share count for the first of them
        ("forward_passes", pa.float64()),  # of the attribution
        ("backward_passes", pa.float64()),
        ("completeness_gap", pa.float64()),  # sum of the map minus what theory promises, where it promises something
        ("insertion", pa.float64()),
        ("deletion", pa.float64()),
        ("score", pa.float64()),  # of metrics with one value
        ("chance", pa.float64()),  # what a random map scores, where a metric knows
        ("insertion_curve", pa.list_(pa.float32())),
        ("deletion_curve", pa.list_(pa.float32())),
    ]
)
FINGERPRINTS = b"heatproof.fingerprints"
STAMPS = b"heatproof.stamps"
BROKEN = (pa.ArrowException, OSError)  # what reading raises of a file that is cut short or holds something else
ROWS_A_FILE = 1000
PARTITIONS = ["data", "model", "method", "metric"]
SCALARS = ["run_id", "image_id", "status", "confidence", "insertion", "deletion", "score", "chance"]
SCALARS += ["seconds_attribution", "forward_passes", "backward_passes"]  # all that a table needs
LISTINGS = 5  # how often files are listed, if some vanish each time


class Made(NamedTuple):
    """What a row was made from."""

    fingerprint: str  # of the image's bytes and label, and of what else the method read for it
    stamp: str | None  # size and time of the image's file, where it is one


class Rows:
    """The rows of one run: one model, one method, one metric on one data source."""

    def __init__(self, results: Path, cell: dict[str, str], run_id: str):
        self.folder = results / "rows" / "/".join(f"{k}={cell[k]}" for k in PARTITIONS)
        self.run_id = run_id
        self._file = self._new_file()
        self._rows: list[dict] = []
        self._made: dict[str, Made] = {}

    def done(self) -> dict[str, Made]:
        """Of what each image's row was made, for every row that is not a failure."""
        done: dict[str, Made] = {}
        for _, table in self._tables(["image_id", "status"]):
            fingerprints, stamps = (_remembered(table, key) for key in (FINGERPRINTS, STAMPS))
            ok = table.filter(pc.field("status") == "ok")
            done |= {i: Made(fingerprints.get(i, ""), stamps.get(i)) for i in ok["image_id"].to_pylist()}
        return done

    def forget(self, ids: Collection[str]) -> None:
        """Take out what is there of these images, failures for instance, before they are tried again."""
        for file, table in self._tables():
            kept = table.filter(pc.invert(pc.is_in(table["image_id"], pa.array(list(ids), pa.string()))))
            if len(kept) == len(table):
                continue
            if len(kept) == 0:
                file.unlink(missing_ok=True)
            else:
                self._write(file, kept.replace_schema_metadata(table.schema.metadata))

    def add(self, rows: Iterable[dict], made: Mapping[str, Made]) -> None:
        """Rows of one batch, safe on disk when this returns."""
        if len(self._rows) >= ROWS_A_FILE:
            self._file, self._rows, self._made = self._new_file(), [], {}
        self._rows += [{"run_id": self.run_id, **row} for row in rows]
        self._made |= made
        metadata = {
            FINGERPRINTS: json.dumps({i: made.fingerprint for i, made in self._made.items()}).encode(),
            STAMPS: json.dumps({i: made.stamp for i, made in self._made.items() if made.stamp}).encode(),
        }
        self._write(self._file, pa.Table.from_pylist(self._rows, SCHEMA.with_metadata(metadata)))

    def read(self) -> pa.Table:
        """All rows of this run."""
        tables = [table.replace_schema_metadata(None) for _, table in self._tables()]
        return pa.concat_tables(tables) if tables else SCHEMA.empty_table()

    def _tables(self, columns: list[str] | None = None) -> Iterator[tuple[Path, pa.Table]]:
        """Every file with its content, read through one handle: another process may put a newer one in its place.

        A file that is gone since it was listed is passed over: who took it away computes its rows again. A broken one is
        set aside, so that its images count as not done.
        """
        for file in self._files():
            try:
                with file.open("rb") as stream:
                    table = pq.ParquetFile(stream).read(columns)
            except FileNotFoundError:
                continue
            except PermissionError:
                raise
            except BROKEN as error:
                aside = file.with_name(f"_broken-{file.name}")  # readers pass over names that begin with _
                file.replace(aside)
                print(f"{file.name} cannot be read ({_first_line(error)}); set aside as {aside}.", file=sys.stderr)
                continue
            yield file, table

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self.run_id}-*.parquet"))

    def _new_file(self) -> Path:
        return self.folder / f"{self.run_id}-{uuid.uuid4().hex[:12]}.parquet"

    @staticmethod
    def _write(file: Path, table: pa.Table) -> None:
        with atomic_write(file) as path:
            pq.write_table(table, path)


def load_rows(results: Path) -> pd.DataFrame:
    """The scalars of every row, failed images too, one row per (run_id, image_id), in an order of their own.

    Of rows that two processes wrote for the same image one is kept, a scored one if there is one.
    """
    folder = results / "rows"
    if not folder.is_dir():
        return pd.DataFrame(columns=SCALARS + PARTITIONS)
    rows = _read(folder, columns=SCALARS + PARTITIONS).to_pandas()
    rows = rows.sort_values(["run_id", "image_id", "status", "insertion", "deletion", "score"], kind="stable")
    rows = rows.drop_duplicates(["run_id", "image_id"], keep="last")  # "ok" sorts after "failed"
    return rows.reset_index(drop=True)


def load_curves(results: Path, run_id: str, image_ids: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of scored images: {image_id: (insertion [S], deletion [S])}, read without the rest of the run."""
    wanted = (pc.field("run_id") == run_id) & pc.field("image_id").isin(image_ids) & (pc.field("status") == "ok")
    columns = ["image_id", "insertion_curve", "deletion_curve"]
    found = _read(results / "rows", columns=columns, filter=wanted).to_pandas()
    return {i: (np.asarray(a), np.asarray(b)) for i, a, b in found.itertuples(index=False)}


def _read(folder: Path, **wanted: object) -> pa.Table:
    """The partition columns as strings, whatever they look like. While runs go on, a file that was listed may be gone
    when its turn comes: the files are listed again then."""
    keys = pa.schema([(key, pa.string()) for key in PARTITIONS])
    settings = {"schema": pa.unify_schemas([SCHEMA, keys]), "partitioning": ds.partitioning(keys, flavor="hive")}
    files: Path | list[str] = folder
    for attempt in range(LISTINGS):
        try:
            dataset = ds.dataset(files, format="parquet", partition_base_dir=str(folder), **settings)
            return dataset.to_table(**wanted)
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
            pq.ParquetFile(file).read()
        except FileNotFoundError:
            continue
        except BROKEN as error:
            print(
                f"Passed over, as it cannot be read ({_first_line(error)}): {file}. The next run computes it again.",
                file=sys.stderr,
            )
            continue
        files.append(str(file))
    return files


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _remembered(table: pa.Table, key: bytes) -> dict[str, str]:
    """{image id: what the file says of it}."""
    return json.loads((table.schema.metadata or {}).get(key, b"{}"))
