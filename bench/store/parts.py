"""The files of a run's rows: a small one for each batch, larger ones that small ones were joined into.

Each is written under a hidden name and then renamed, and no batch touches the file of another, so what writing costs does
not grow with what is there. A file that takes the place of others names them: until they are gone their rows stand twice,
never nowhere, and who opens the run next takes away what a crash has left of them.
"""

import hashlib
import json
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
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
        (
            "fingerprint",
            pa.string(),
        ),  # of what the row was made from: the image's bytes and label, a file of the method's
        ("stamp", pa.string()),  # size and time of the image's file, where it is one
    ]
)
CURVES = ("insertion_curve", "deletion_curve")
OF_BEFORE = {"fingerprint": b"heatproof.fingerprints", "stamp": b"heatproof.stamps"}  # {image: …} beside the columns
REPLACES = b"heatproof.replaces"  # the names of the files whose place this one took
JOINED = "joined-"
BROKEN = (pa.ArrowException, OSError)  # what reading raises of a file that is cut short or holds something else
NEEDED = ("run_id", "image_id", "status")  # of every row
ORDER = ["status", "insertion", "deletion", "score"]  # of an image's rows the last counts: "ok" sorts after "failed"


def files(folder: Path, run_id: str) -> list[Path]:
    return sorted(folder.glob(f"{run_id}-*.parquet"))


def new_file(folder: Path, run_id: str) -> Path:
    return folder / f"{run_id}-{uuid.uuid4().hex[:12]}.parquet"


SMALL: dict = {  # how rows that are to be shared are written: half the size
    "compression": "zstd",
    "write_statistics": False,
    "store_schema": False,
    "use_dictionary": ["run_id", "status"],
}


def write(file: Path, table: pa.Table, *, small: bool = False) -> None:
    with atomic_write(file) as path:
        pq.write_table(table, path, **SMALL if small else {})


def tables(of: Sequence[Path], columns: Sequence[str] | None = None) -> Iterator[tuple[Path, pa.Table]]:
    """Every file with its content, read through one handle: another process may put a newer one in its place.

    A file that is gone since it was listed is passed over: who took it away computes its rows again, or has put them into
    another. A broken one is set aside, so that its images count as not done.
    """
    for file in of:
        try:
            with file.open("rb") as stream:
                table = as_now(pq.ParquetFile(stream).read(columns), columns or SCHEMA.names)
        except FileNotFoundError:
            continue
        except PermissionError:
            raise
        except BROKEN as error:
            aside = file.with_name(
                f"_broken-{file.stem}"
            )  # readers pass over names that begin with _, or have no suffix
            file.replace(aside)
            print(f"{file.name} cannot be read ({first_line(error)}); set aside as {aside}.", file=sys.stderr)
            continue
        yield file, table


def join(folder: Path, run_id: str, small: Sequence[Path]) -> None:
    """One file in place of these, as far as they are still there."""
    found = dict(tables(small))
    if len(found) < 2:
        return
    names = sorted(file.name for file in found)
    digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]  # who joins the same writes the same
    table = once(pa.concat_tables(found.values())).replace_schema_metadata({REPLACES: json.dumps(names).encode()})
    write(folder / f"{run_id}-{JOINED}{digest}.parquet", table)
    for file in found:
        file.unlink(missing_ok=True)


def settle(folder: Path, run_id: str) -> None:
    """Take away files whose place another one took."""
    for file in folder.glob(f"{run_id}-{JOINED}*.parquet"):
        try:
            names = json.loads((pq.read_schema(file).metadata or {}).get(REPLACES, b"[]"))
        except BROKEN:
            continue  # who reads it sets it aside
        for old in set(names) & {other.name for other in files(folder, run_id)} - {file.name}:
            (folder / old).unlink(missing_ok=True)


def once(table: pa.Table) -> pa.Table:
    """One row of each image, that which counts, among rows that were made from the same picture."""
    keys = table.select(["image_id", "fingerprint"]).to_pandas().fillna("")
    if not keys.duplicated().any():
        return table
    ordered = table.select(ORDER).to_pandas().join(keys).sort_values(ORDER, kind="stable")
    kept = ordered.drop_duplicates(["image_id", "fingerprint"], keep="last").index
    return table.take(sorted(kept))


def without(table: pa.Table, images: pa.Array) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["image_id"], images)))


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def as_now(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """These columns, whether or not the file has them. ArrowException: no run has written this."""
    metadata, found = table.schema.metadata or {}, []
    for name in columns:
        kind = SCHEMA.field(name).type
        if name in table.column_names:
            found.append(table[name].cast(kind))
        elif told := json.loads(metadata.get(OF_BEFORE.get(name, b""), b"{}")):
            found.append(pa.array([told.get(image) for image in table["image_id"].to_pylist()], kind))
        else:
            found.append(pa.nulls(len(table), kind))
    kept = {key: value for key, value in metadata.items() if key == REPLACES}
    return whole(pa.table(found, names=list(columns), metadata=kept))


def whole(table: pa.Table) -> pa.Table:
    """The table. ArrowException: it has rows without an id or a status, or infinite scores, and no run has written it."""
    for name in table.column_names:
        if name in NEEDED and table[name].null_count:
            raise pa.ArrowInvalid(f"it has rows without {name}")
        if name in ORDER[1:] and pc.any(pc.is_inf(table[name])).as_py():
            raise pa.ArrowInvalid(f"its {name} is infinite")
    return table
