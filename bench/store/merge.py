"""Rows, records and maps of several results folders in one.

A run is known by its id, so what was computed of it here and there belongs together. What is there already is taken once: a
row that says the same of the same picture, but for what it cost and the time of the file. A row that says something else is
refused and named, and the one that is there stays; so is a map, and a run of another protocol, without a record, or of which
two records say that they are something else. The folders that are merged from stay as they are.
"""

import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

import bench
from bench.store import parts, records
from bench.store.atomic import atomic_write
from bench.store.compact import runs
from bench.store.parts import SCHEMA
from bench.store.rows import PARTITIONS, Rows

COSTS = (
    "seconds_attribution",
    "seconds_metric",
    "forward_passes",
    "backward_passes",
    "stamp",
)  # differ from place to place
SHOWN = 3  # images of a run that are named


@dataclass
class Merged:
    """What became of a folder."""

    rows: int = 0  # that were taken
    known: int = 0  # that were there already
    runs: int = 0  # whose record was taken, or got a history more
    maps: int = 0
    refused: list[str] = field(default_factory=list)


def merge(source: Path, into: Path) -> Merged:
    """All of one folder that another lacks."""
    merged = Merged()
    for folder, run_id in runs(source):
        cell = dict(part.split("=", 1) for part in folder.relative_to(source / "rows").parts)
        record = records.read(source / "runs" / f"{run_id}.yaml")
        if why := _unfit(record, cell, run_id, records.read(into / "runs" / f"{run_id}.yaml")):
            merged.refused.append(f"{run_id}: {why}.")
            continue
        _rows(Rows(source, cell, run_id), Rows(into, cell, run_id), merged)
        merged.runs += _record(record, into / "runs" / f"{run_id}.yaml")  # type: ignore[arg-type]
    for kind, ending in (("attributions", "*/*"), ("confusion", "*.yaml")):
        _files(source / kind, into / kind, ending, merged)
    return merged


def _unfit(record: dict | None, cell: dict[str, str], run_id: str, there: dict | None) -> str | None:
    """Why a run is not taken."""
    if record is None:
        return "it has no record that can be read; run it there once more, which writes it anew"
    if record["run_id"] != run_id or {key: record["cell"][key] for key in PARTITIONS} != cell:
        return "its record is that of another run"
    identity = records.identity_of(record)
    if identity.protocol != str(bench.PROTOCOL):
        return f"it is of protocol {identity.protocol}, and this program's is {bench.PROTOCOL}"
    if there and records.identity_of(there) != identity:
        return "the record that is there says that it is something else"
    return None


def _rows(theirs: Rows, ours: Rows, merged: Merged) -> None:
    new, old = (parts.once(rows.read()) for rows in (theirs, ours))
    known = defaultdict(list)
    for row in old.to_pandas().to_dict("records"):
        known[row["image_id"]].append(row)
    take, failed_here, contradicting = [], [], []
    for k, row in enumerate(new.to_pandas().to_dict("records")):
        scored = [one for one in known[row["image_id"]] if one["status"] == "ok"]
        if row["status"] == "ok" and not scored:
            take.append(k)
            failed_here += [row["image_id"]] * bool(known[row["image_id"]])
        elif row["status"] != "ok" and not known[row["image_id"]]:
            take.append(k)
        elif row["status"] != "ok" or any(_same(row, one) for one in scored):
            merged.known += 1
        else:
            contradicting.append(row["image_id"])
    if failed_here:
        ours.forget(failed_here)
    if take:
        ours.put(new.take(take))
        merged.rows += len(take)
    if contradicting:
        more = f" and {len(contradicting) - SHOWN} more" if len(contradicting) > SHOWN else ""
        named = ", ".join(contradicting[:SHOWN]) + more
        merged.refused.append(f"{ours.run_id}: the rows of {named} say something else than those that are there.")


def _same(row: dict, other: dict) -> bool:
    return all(_equal(row[name], other[name]) for name in SCHEMA.names if name not in COSTS)


def _equal(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    nothing = [value is None or value != value for value in (one, other)]
    return all(nothing) or (not any(nothing) and bool(np.all(one == other)))


def _record(record: dict, file: Path) -> int:
    """A run that is there keeps its record, with the other's history."""
    there = records.read(file)
    if there is not None:
        sessions = [_session(one) for one in (there, *there.get("continued", []))]
        more = [one for one in map(_session, (record, *record.get("continued", []))) if one not in sessions]
        if not more:
            return 0
        record = there | {"continued": [*there.get("continued", []), *more]}
    with atomic_write(file) as path:
        path.write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return 1


def _session(record: dict) -> dict:
    return {key: record.get(key) for key in records.SESSION}


def _files(source: Path, into: Path, ending: str, merged: Merged) -> None:
    for file in sorted(source.glob(ending)):
        place = into / file.relative_to(source)
        if file.name.startswith(".") or file.suffix not in (".npy", ".yaml") or not file.is_file():
            continue
        if not place.exists():
            with atomic_write(place) as path:
                shutil.copyfile(file, path)
            merged.maps += file.suffix == ".npy"
        elif file.suffix == ".npy" and file.read_bytes() != place.read_bytes():
            merged.refused.append(f"attributions/{file.relative_to(source)}: another map is there.")
