"""Are a run's rows what its record says? Computes some of them again: `python -m bench.verify RUN_ID`

    python -m bench.verify RUN_ID [images=8] [seed=0] [paths.results=results] [data.root=DIR] [model.weights=FILE]
                           [builders=MODULE.FUNCTION]

RUN_ID: of results/runs, or the start of it. images: how many of its scored images, drawn from the seed, or `all`; an altered
row is found if it is among them. data.root, model.weights: where images and weights lie here, if not where the record says.
builders: what the record may name of your own beside what conf/ builds, yours (./conf) among it: a record of strangers
imports nothing.
Writes nothing. Prints for each quantity the largest difference, and exits with 1 if one is larger than rounding explains:

Under the very conditions of the record (processor, threads, batch size, versions of libraries) rows are promised bit for
bit, and 100 units in the last place are let pass. Elsewhere rounding differs, and methods that step along a sign amplify
it, so it is measured: the images are computed at other batch sizes too, where nothing but rounding changes, and ten times
the largest change is let pass. Between a GPU and a CPU it differs by more, so rows of a GPU are verified on one. Seconds and
passes are costs, and are not compared; nor are curves that a store has been rid of (`bench.store compact curves=false`).
"""

import copy
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from bench.cli import command
from bench.errors import UserError
from bench.images.source import select
from bench.images.stream import stream
from bench.running.job import Job
from bench.running.runner import rows_of
from bench.store import records
from bench.store.migrate import reopened
from bench.store.parts import CURVES, once
from bench.store.rows import Rows
from bench.text import plural

EXACT = ("status", "label", "prediction", "target")
NUMBERS = ("confidence", "insertion", "deletion", "score", "chance", "completeness_gap", *CURVES)
LAST_PLACES, NOISE = 100, 10  # let pass: so many units in the last place; so many times what other batch sizes change
OTHER_BATCHES = (1, 2)
LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow")
KEYS = {
    "images": "8",
    "seed": "0",
    "paths.results": "results",
    "data.root": None,
    "model.weights": None,
    "builders": None,
}


def main(arguments: list[str]) -> int:
    """Exit status."""
    if not arguments or "=" in arguments[0]:
        raise UserError("Which run? python -m bench.verify RUN_ID; run ids are the names of the files in results/runs.")
    asked = KEYS | dict(argument.partition("=")[::2] for argument in arguments[1:])
    if strange := set(asked) - set(KEYS):
        raise UserError(f"bench.verify takes no {', '.join(sorted(strange))}; it takes {', '.join(KEYS)}.")
    results = Path(str(asked["paths.results"])).expanduser()
    record = recorded(results, arguments[0])
    stored = scored(results, record)
    ids = chosen(list(stored.index), str(asked["images"]), str(asked["seed"]))
    with tempfile.TemporaryDirectory() as folder:
        job = opened(record, ids, results, Path(folder), asked)
        same = [i for i in ids if job.made_of(i, job.source.fingerprint(i)) == stored.loc[i, "fingerprint"]]
        if not same:
            raise UserError(
                f"None of {plural(len(ids), 'image')} is as it was when its row was made: nothing to compare."
            )
        job.ids = same
        now, why = computed(job), ""
        allowed = np.full(len(NUMBERS), _last_places(job))
        allowed[-len(CURVES) :] = LAST_PLACES * np.finfo(np.float32).eps  # as they are stored
        if conditions := unlike(record, job):
            noise = largest(*(differences(now, computed(job, batch)) for batch in OTHER_BATCHES))
            allowed = np.maximum(allowed, NOISE * noise)
            why = (
                f"{NOISE} times what batch sizes of {' and '.join(map(str, OTHER_BATCHES))} change of these images, as this "
                f"is not where the rows were made ({conditions}); at least"
            )
    cell = record["cell"]
    print(
        f"{record['run_id']}: {cell['method']} on {cell['model']}, {cell['data']}, by {cell['metric']}. "
        f"{len(same)} of {plural(len(stored), 'scored image')} computed again."
    )
    if len(same) < len(ids):
        print(f"{plural(len(ids) - len(same), 'image')} changed since; not compared.")
    wrong = judged(stored.loc[same], now, allowed)
    print(f"Bound: {why or 'made under the conditions of here, where it is bit for bit;'} {LAST_PLACES} last places.")
    if wrong:
        print(f"Not within rounding noise: {', '.join(wrong[:5])}{f' and {len(wrong) - 5} more' * (len(wrong) > 5)}.")
    else:
        print("Within rounding noise.")
    return int(bool(wrong))


def recorded(results: Path, start: str) -> dict:
    """The record whose run id starts so. UserError: there is none, or several."""
    found = sorted(file for file in (results / "runs").glob("[!.]*.yaml") if file.stem.startswith(start))
    if len(found) != 1:
        several = f"several runs: {', '.join(file.stem for file in found[:5])}" if found else "no run"
        raise UserError(f"{start} is the start of {several} in {results / 'runs'}.")
    record = records.read(found[0])
    if record is None:
        raise UserError(f"The record of {found[0].stem} cannot be read.")
    return record


def scored(results: Path, record: dict) -> pd.DataFrame:
    """Its scored rows, by image. UserError: there are none."""
    rows = once(Rows(results, record["cell"], record["run_id"]).read()).to_pandas()
    rows = rows[rows["status"] == "ok"].drop_duplicates("image_id", keep="last").set_index("image_id")
    if rows.empty:
        raise UserError(f"{record['run_id']} has no scored images in {results / 'rows'}.")
    return rows


def chosen(images: list[str], n: str, seed: str) -> list[str]:
    if not seed.isdecimal() or not (n == "all" or n.isdecimal() and int(n)):
        raise UserError(f"images={n} seed={seed}: expected a number of images or all, and a number from 0.")
    return images if n == "all" else select(images, int(seed), sample=min(int(n), len(images)))


def opened(record: dict, ids: list[str], results: Path, scratch: Path, asked: dict) -> Job:
    """The job that made these rows, to compute them once more. UserError: it is not to be had here."""
    record = copy.deepcopy(record)
    config = record["config"]
    config["data"] |= {"ids": ids, "subset": None, "sample": None, "limit": None}
    config["run"] |= {"shard": "0/1", "save_attributions": False}
    config["compute"]["batch_size"] = record["device"]["batch_size"]
    device = record["device"]
    if device["type"] == "cuda" and not torch.cuda.is_available():
        raise UserError(f"{record['run_id']} was made on a GPU ({device['name']}): verify it where torch sees one.")
    for key in ("data.root", "model.weights"):
        if asked[key] is not None:
            group, _, name = key.partition(".")
            if name not in config[group]:
                raise UserError(f"{key}={asked[key]}: {group}={record['cell'][group]}, of this run, takes no {name}.")
            config[group][name] = asked[key]
    if (results / "confusion").is_dir():  # a colour that was searched
        shutil.copytree(results / "confusion", scratch / "confusion")
    job = reopened(record, scratch, str(asked["builders"] or "").split(","))
    if job.run_id(record["cell"]["metric"]) != record["run_id"]:
        then, now = records.identity(record), job.identity(record["cell"]["metric"]).flat()
        differ = [key for key in {**then, **now} if then.get(key) != now.get(key)] or ["its versions of code"]
        raise UserError(f"{record['run_id']} is another run here, which differs in {', '.join(differ)}.")
    return job


def computed(job: Job, batch: int | None = None) -> pd.DataFrame:
    """The rows of the job's images, as they are made here and now.  batch: images a pass, if not the job's."""
    usual, (metric,) = job.compute, job.metrics
    if batch:
        job.compute = replace(usual, batch_size=batch)
    batches = stream(job.source, job.ids, job.compute.batch_size, workers=0)
    rows = [row for part in batches for row in rows_of(job, part, (metric,))[0][metric]]
    job.compute = usual
    return pd.DataFrame(rows, columns=["image_id", *EXACT, *NUMBERS]).set_index("image_id").loc[job.ids]


def differences(a: pd.DataFrame, b: pd.DataFrame) -> np.ndarray:
    """[image, quantity]; of a curve the largest. Of numbers above 1, relative to them; infinite where one has none."""
    found = np.zeros((len(a), len(NUMBERS)))
    for column, name in enumerate(NUMBERS):
        for row, (one, other) in enumerate(zip(a[name], b[name], strict=True)):
            found[row, column] = _difference(one, other)
    return found


def largest(*of: np.ndarray) -> np.ndarray:
    """[quantity]"""
    return np.maximum.reduce([part.max(axis=0) for part in of])


def judged(stored: pd.DataFrame, now: pd.DataFrame, allowed: np.ndarray) -> list[str]:
    """Prints a line a quantity. Returns the images whose row is not what is computed, and in what.  allowed: [quantity]."""
    off = differences(stored, now)
    bare = {name for name in CURVES if stored[name].isna().all()}  # a store may have been rid of them
    wrong: dict[str, list[str]] = {}
    print(f"\n{'quantity':18}{'largest difference':>20}{'bound':>10}")
    for column, name in enumerate(NUMBERS):
        if not (stored[name].notna() | now[name].notna()).any():
            continue
        if name in bare:
            print(f"{name:18}{'not in this store':>20}")
            continue
        row = int(off[:, column].argmax())
        print(
            f"{name:18}{off[row, column]:20.1e}{allowed[column]:10.1e}   {stored.index[row] if off[row, column] else ''}"
        )
        for image in stored.index[off[:, column] > allowed[column]]:
            wrong.setdefault(image, []).append(name)
    for name in EXACT:
        for image in stored.index[stored[name].fillna(-1) != now[name].fillna(-1)]:
            wrong.setdefault(image, []).append(name)
    compared = [name not in bare for name in NUMBERS]
    alike = sum(not off[row, compared].any() for row in range(len(off)))
    print(f"\n{alike} of {plural(len(off), 'row')} equal bit for bit.")
    return [f"{image} ({', '.join(names)})" for image, names in wrong.items()]


def unlike(record: dict, job: Job) -> str:
    """In what this place differs from where the run was made; nothing if in nothing that may change a last digit."""
    here = {
        "device": job.compute.device_name,
        "threads": torch.get_num_threads(),
        "batch size": job.compute.batch_size,
    }
    here |= {name: str(torch.__version__) if name == "torch" else records.version(name) for name in LIBRARIES}
    differ = set()
    for session in (record, *record.get("continued", [])):
        device = session["device"]
        there = {"device": device["name"], "threads": device["threads"], "batch size": device["batch_size"]}
        there |= {name: session["versions"].get(name) for name in LIBRARIES}
        differ |= {name for name in here if here[name] != there[name]}
    if job.compute.device.type != "cpu":
        differ.add("the order in which a GPU adds up")
    return ", ".join(sorted(differ))


def _difference(one: object, other: object) -> float:
    a, b = (np.atleast_1d(np.asarray([] if value is None else value, dtype=float)) for value in (one, other))
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        nothing = all(np.isnan(values).all() for values in (a, b))
        return 0.0 if nothing else np.inf
    return float(np.nan_to_num(np.abs(a - b) / np.maximum(1, np.abs(a))).max(initial=0))


def _last_places(job: Job) -> float:
    return float(LAST_PLACES * torch.finfo(job.compute.dtype).eps)


if __name__ == "__main__":
    command(__doc__, main)
