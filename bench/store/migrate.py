"""Gives rows of before the ids of now: `python -m bench.store.migrate [RESULTS [BUILDER …]]` (results, if it is not said).

A run's id changes when what an id is made of does (CHANGELOG says when); the numbers are still right. Every record in
RESULTS/runs is opened as a job again, which asks for its weights and images; where these are what they were, its rows,
record and maps take the new id. A run that cannot be opened, or is something else by now, stays as it is and is named.

Opening a record builds what it names. So only what a file of conf/ builds is built, yours (./conf of the working folder)
among them, and the BUILDERs that you name yourself, such as mynet.MyNet; a record that names anything else stays, too.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import OmegaConf

from bench.cli import command
from bench.config import Config
from bench.errors import UserError
from bench.running.job import Job, open_job
from bench.store import code, parts, records
from bench.store.atomic import atomic_write
from bench.store.maps import Maps
from bench.store.rows import Rows
from bench.text import plural


def migrate(results: Path, own: Collection[str] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """{old run id: new run id} of the runs that moved; {run id: why} of those that could not.

    own: builders, by their import paths, that a record may name beside those of conf/.
    """
    moved, left = {}, {}
    for file in sorted((results / "runs").glob("[!.]*.yaml")):
        record = records.read(file)
        if record is None:
            left[file.stem] = "its record cannot be read"
            continue
        try:
            job, metric = reopened(record, results, own), record["cell"]["metric"]
        except (UserError, KeyError, AttributeError) as error:
            left[file.stem] = str(error)
            continue
        if job.run_id(metric) != record["run_id"]:
            move(job, record, file, results)
            moved[record["run_id"]] = job.run_id(metric)
    return moved, left


def reopened(record: dict, results: Path, own: Collection[str] = ()) -> Job:
    """The job that made this run, if it is still to be had."""
    cell, config = record["cell"], addressed(record["config"], own)
    config = config | {"metric": {cell["metric"]: config["metric"]}, "paths": {"results": str(results)}}
    names = {group: cell[group] for group in ("data", "model", "method")}
    job = open_job(Config(OmegaConf.create(config), names, []))
    for what, then, now in (
        ("weights", record["weights"]["digest"], job.weights),
        ("device", record["device"]["type"], job.compute.device.type),
        ("collection", record["data"].get("collection"), job.source.collection),
    ):
        if then is not None and then != now:
            raise UserError(f"its {what} was {then} and is {now} here")
    return job


def addressed(tree: Any, own: Collection[str] = ()) -> Any:
    """A configuration with every builder of ours where it lies now. UserError: it names another, or asks for a value from
    elsewhere (`${…}`), which a record never does.
    """
    if isinstance(tree, list):
        return [addressed(value, own) for value in tree]
    if isinstance(tree, str) and "${" in tree:
        raise UserError(f"its record says {tree!r}, which is no value")
    if not isinstance(tree, dict):
        return tree
    found = {key: addressed(value, own) for key, value in tree.items()}
    if "_target_" in tree:
        now = code.addresses()
        target = str(tree["_target_"])
        theirs = target in own or code.name(target) not in now and target in code.of_the_user()
        if not theirs and code.name(target) not in now:
            raise UserError(
                f"its record names {target}, which no file of conf/ builds; if it is yours, call this where your conf/ "
                f"lies, or name it (bench.verify: builders={target})"
            )
        found["_target_"] = target if theirs else now[code.name(target)]
    return found


def move(job: Job, record: dict, file: Path, results: Path) -> None:
    """Rows first, the old record last: what is cut short is taken up again."""
    cell, metric = record["cell"], record["cell"]["metric"]
    old, run_id = Rows(results, cell, record["run_id"]), job.run_id(metric)
    parts.settle(old.folder, old.run_id)
    for part in sorted(old.folder.glob(f"{record['run_id']}-*.parquet")):
        table = pq.ParquetFile(part).read()
        column = table.schema.get_field_index("run_id")
        table = table.set_column(column, "run_id", pa.array([run_id] * len(table), pa.string()))
        with atomic_write(part.with_name(part.name.replace(record["run_id"], run_id, 1))) as path:
            pq.write_table(table, path)
        part.unlink()
    maps, theirs = Maps(results, record["attribution_id"]), job.maps
    if maps.folder.is_dir() and not theirs.folder.exists():
        maps.folder.rename(theirs.folder)
    job.record(metric)
    file.unlink()


def main(arguments: list[str]) -> int:
    """1: some could not. UserError: there is nothing to migrate."""
    results = Path(arguments[0] if arguments else "results").expanduser()
    if not (results / "runs").is_dir():
        raise UserError(f"{results} holds no runs; name the folder that holds runs/ and rows/.")
    moved, left = migrate(results, arguments[1:])
    for run_id, why in left.items():
        print(f"{run_id} stays: {why}")
    print(f"{plural(len(moved), 'run')} moved, {len(left)} could not.")
    return 1 if left else 0


if __name__ == "__main__":
    command(__doc__, main)
