"""Many small files of rows to few large ones, run by run; every row that counts stays as it is, but for curves that are not
to be kept.

A run that a process says it is computing is left alone. Cut short, it leaves rows twice, never nowhere; the next run, or the
next time, puts that in order.
"""

import time
from pathlib import Path

import pyarrow as pa

from bench.store import parts
from bench.store.heartbeat import beats

ROWS_A_FILE = 10_000
MUCH = (*parts.CURVES, "stamp")  # columns that rows to be shared go without


def compact(results: Path, *, curves: bool = True) -> tuple[int, int, list[str]]:
    """How many files of rows there were and are, and the runs that were left alone.

    curves: whether they stay. Without, the time of an image's file goes too, which is that of one machine: whoever goes on
    from these rows reads the image once.
    """
    now = time.time()
    alive = {run_id for beat in beats(results) if not beat.stale(now) for run_id in beat.runs}
    before = after = 0
    left = set()
    for folder, run_id in runs(results):
        before += len(parts.files(folder, run_id))
        if run_id in alive:
            left.add(run_id)
        else:
            _joined(folder, run_id)
            if not curves:
                _bare(folder, run_id)
        after += len(parts.files(folder, run_id))
    return before, after, sorted(left)


def runs(results: Path) -> list[tuple[Path, str]]:
    """Every run that has rows, and the folder where they are."""
    files = (results / "rows").glob("*/*/*/*/[!._]*.parquet")
    return sorted({(file.parent, file.name.partition("-")[0]) for file in files})


def _bare(folder: Path, run_id: str) -> None:
    for file, table in parts.tables(parts.files(folder, run_id)):
        if any(table[name].null_count < len(table) for name in MUCH):
            for name in MUCH:
                at = table.schema.get_field_index(name)
                table = table.set_column(at, table.schema.field(at), pa.nulls(len(table), table.schema.field(at).type))
            parts.write(file, table, small=True)


def _joined(folder: Path, run_id: str) -> None:
    """In groups of as many files as make a large one; of one file nothing is gained."""
    parts.settle(folder, run_id)
    group: list[Path] = []
    rows = 0
    for file, table in parts.tables(parts.files(folder, run_id), ["image_id"]):
        if group and rows + len(table) > ROWS_A_FILE:
            parts.join(folder, run_id, group)
            group, rows = [], 0
        group.append(file)
        rows += len(table)
    parts.join(folder, run_id, group)
