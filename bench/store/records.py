"""Records of runs: the recipe that lies beside the rows, and what a report asks of it."""

import dataclasses
import datetime
import functools
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import yaml
from omegaconf import DictConfig, OmegaConf

import bench
from bench.choices import ROOT
from bench.filename import plain
from bench.store import code
from bench.store.atomic import atomic_write
from bench.store.identity import Identity, differences
from bench.text import a_kind, plural
from metrics.quantities import said

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, eight times as fast, if there is libyaml
FORMAT = 2  # of a record: from 2 on it holds its identity
LAST = "continued"  # key of a record: what lacks it was cut short
SESSION = ("created", "command", "git", "versions", "device")  # of a record: what each time of its making has
RECORDED = ("torch", "torchvision", "timm", "hydra-core", "omegaconf", "numpy", "pandas", "pyarrow", "pillow")


def write(file: Path, record: dict, command: list[str], device: dict, versions: dict[str, str]) -> None:
    """The record of a run, or, if it is there, another session of it: a run continued elsewhere keeps both histories.

    versions: what a package says of itself, where that says more than its release.
    """
    session = {
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join(["python -m bench.run", *command]),
        "git": _git(),
        "versions": _versions() | versions,
        "device": device,
    }
    if there := read(file):
        record = there
        record["continued"] = [*record.get("continued", []), session]
    else:
        record = {"format": FORMAT, **record, **session, "continued": []}
    with atomic_write(file) as path:
        path.write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True), encoding="utf-8")


def load_runs(results: Path) -> dict[str, dict]:
    """{run_id: its record}, in the order of the run ids; of those that can be read."""
    records = map(read, sorted((results / "runs").glob("[!.]*.yaml")))
    return {record["run_id"]: record for record in records if record}


def read(file: Path) -> dict | None:
    """A record. None: there is none, or it is broken, which is said."""
    try:
        record = yaml.load(file.read_text(encoding="utf-8"), LOADER)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = type(error).__name__
    else:
        if not isinstance(record, dict) or "run_id" not in record:
            why = "it is no record"
        elif "format" in record and LAST not in record:
            why = "its end is missing"
        elif odd := _odd(record):
            why = odd
        elif strange := _no_name(record):
            why = f"{strange!r} is no name of a file"
        else:
            return record
    print(f"Passed over, as it cannot be read ({why}): {file}. The next such run writes it anew.", file=sys.stderr)
    return None


def _odd(record: dict) -> str | None:
    """What of a record has another form than any that was written."""
    parts = {"cell": dict, "config": dict, "versions": dict, "device": dict, "data": dict, "continued": list}
    for key, kind in parts.items():
        if not isinstance(record.get(key, kind()), kind):
            return f"its {key} is {a_kind(record[key])}"
    if "format" in record and (lacking := [key for key in ("cell", "config", "versions") if not record.get(key)]):
        return f"it has no {lacking[0]}"
    if "identity" in record:
        told, known = record["identity"], dataclasses.fields(Identity)
        if not isinstance(told, dict):
            return f"its identity is {a_kind(told)}"
        if more := told.keys() - {field.name for field in known}:
            return f"its identity has {min(more)}, as none of this version has"
        needed = {field.name for field in known if field.default is field.default_factory is dataclasses.MISSING}
        if less := needed - told.keys():
            return f"its identity has no {min(less)}"
    return None


def _no_name(record: dict) -> object | None:
    """The first of the names by which a record is found, and finds its rows and maps, that leads out of the folder."""
    cell = record.get("cell")
    names = [record["run_id"], record.get("attribution_id"), *(cell.values() if isinstance(cell, dict) else ())]
    return next((name for name in names if name is not None and not plain(str(name))), None)


def identity_of(record: dict) -> Identity:
    """As written; of a record of before identities were written, as far as its settings tell."""
    if "identity" in record:
        return Identity(**record["identity"])
    config, cell = record["config"], record["cell"]
    targets = code.targets({group: config.get(group) for group in ("model", "data", "method", "metric")})
    built = record.get("code") or {code.name(target): _as_shipped(target) for target in targets}
    found = {
        "weights": (record.get("weights") or {}).get("digest"),
        "device": (record.get("device") or {}).get("type"),
        "collection": record.get("data", {}).get("collection"),
    }
    identity = Identity.of(config, cell, cell.get("metric"), found, built)
    return dataclasses.replace(identity, protocol=str(record["versions"]["protocol"]))


def asked(names: dict[str, str], cfg: DictConfig) -> Identity:
    """What a configuration asks for. names: of its parts, {"data": …, "model": …, "method": …, "metric": …}."""
    return Identity.of(settings(cfg, names["metric"]), names, names["metric"], {})


def settings(cfg: DictConfig, metric: str | None) -> dict:
    """All that a run of this metric, or of maps alone, is made from, resolved."""
    groups = ("model", "method", "data", "compute", "run")
    config: dict = {group: OmegaConf.to_container(cfg[group], resolve=True) for group in groups}
    return config | {"metric": OmegaConf.to_container(cfg.metric[metric], resolve=True) if metric else None}


def matches(record: dict, names: dict[str, str], wanted: Identity) -> bool:
    """Whether this run, of these names, is what was asked for; device, weights and images may differ."""
    return record["cell"] == names and identity_of(record).answers(wanted)


def provenance(numbers: pd.DataFrame, runs: dict[str, dict]) -> list[str]:
    """What the shown runs have in common, or every value that occurs."""
    used = [runs[i] for i in sorted(numbers["run_id"].dropna().unique()) if i in runs]
    if not used:
        return ["Nothing of this has been run."]

    def every(*path: str) -> str:
        values = set()
        for record in used:
            for key in path:
                record = record[key]
            values.add(str(record))
        return ", ".join(sorted(values))

    commits = ", ".join(sorted({str(record["git"]["commit"] or "unknown")[:10] for record in used}))
    dirty = " (with uncommitted changes)" if any(record["git"]["dirty"] for record in used) else ""
    newest = max(str(part["created"]) for record in used for part in (record, *record.get("continued", [])))
    most = numbers.loc[numbers["confidence"] == "all", "n"].max()
    return [
        f"Data: {', '.join(dict.fromkeys(numbers['data']))}; up to {plural(most, 'image')} a cell.",
        f"Settings: precision {every('config', 'compute', 'precision')}, seed {every('config', 'run', 'seed')}, "
        f"target {every('config', 'run', 'target')}, device {every('device', 'name')}.",
        f"Newest run: {newest}; Heatproof {every('versions', 'heatproof')}, "
        f"protocol {every('versions', 'protocol')}, commit {commits}{dirty}.",
        f"Weights: {', '.join(sorted({_weights(record) for record in used}))}.",
    ]


def _weights(record: dict) -> str:
    """Whose weights, by the start of their digest."""
    random = "random " if record["config"]["model"].get("weights") == "random" else ""
    return f"{record['cell']['model']} {random}{_digest(record)}"


def _digest(record: dict) -> str:
    return str((record.get("weights") or {}).get("digest"))[:8]


def several(matching: list[str], runs: dict[str, dict], scored: pd.Series) -> str:
    """Why one run of several was shown."""
    told = labels({i: runs[i] for i in matching})
    each = "; ".join(f"{i[:8]} ({told[i]}, n = {scored.get(i, 0)})" for i in matching)
    cell = " · ".join(runs[matching[0]]["cell"][key] for key in ("model", "method", "metric"))
    return f"{cell}: several runs have these settings. Shown is the first, which has the most images: {each}."


def labels(records: dict[str, dict]) -> dict[str, str]:
    """{run_id: the settings in which it differs from the others}, such as "steps=5"; else the start of its id."""
    known = {run_id: identity_of(record) for run_id, record in records.items() if record}
    return {run_id: run_id[:8] for run_id in records} | differences(known)


def identity(record: dict) -> dict[str, str]:
    """All that can change a number, flat: {"method.steps": "5", …, "device": "cpu"}."""
    return identity_of(record).flat() if record else {}


def conditions(record: dict) -> dict[str, str]:
    """What two runs must have in common to be compared image by image: all but method, device and, unless the metric
    draws, seed.
    """
    if not record:
        return {}
    draws = record["draws"] if "draws" in record else said(record["config"]["metric"]["_target_"]).draws
    colour = (record.get("confusion") or {}).get("colour")
    return identity_of(record).conditions(draws) | {"confusion colour": str(colour)}


def conditions_of(run_ids: Iterable[str], runs: Mapping[str, dict]) -> dict[str, dict[str, str]]:
    """{run_id: conditions}, each once."""
    return {run_id: conditions(runs.get(run_id, {})) for run_id in dict.fromkeys(run_ids)}


def collection(record: dict) -> str | None:
    """Which images it is of, where the name of the data does not say."""
    return record.get("data", {}).get("collection")


def of_collection(matching: list[str], runs: dict[str, dict], wanted: str | None, root: str | None) -> list[str]:
    """Those of these runs that are of the wanted images; else those whose records are too old to say.

    wanted: their collection; None: it is not known here, then the runs that were made of data.root, if any were.
    """
    if root is None:
        return matching
    if wanted is None:
        there = {collection(runs[i]) for i in matching if runs[i]["config"]["data"].get("root") == root}
        return [i for i in matching if collection(runs[i]) in there] if there else matching
    same = [i for i in matching if collection(runs[i]) == wanted]
    return same or [i for i in matching if collection(runs[i]) is None]


def device(record: dict) -> str | None:
    """The name of what it ran on."""
    where = record.get("device") or {}
    return where.get("name") or where.get("type")


def _as_shipped(target: str) -> int | str:
    """The version of what ships under this name, wherever it lay; of what conf/ builds besides the digest of its code. What
    conf/ does not build is not looked for: a record says no module that is imported.
    """
    if version := code.shipped().get(code.name(target), {}).get("version"):
        return version
    return code.version(target) if target in code.addresses().values() else "unknown"


def _versions() -> dict[str, str]:
    versions = {"heatproof": bench.__version__, "protocol": str(bench.PROTOCOL), "python": sys.version.split()[0]}
    return versions | {name: version(name) for name in RECORDED}


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def _git() -> dict:
    """The commit of this code, if it is a checkout; a wheel may lie inside somebody else's."""
    if not (ROOT / ".git").exists():
        return {"commit": None, "dirty": None}

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!results")  # rows are no code
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
