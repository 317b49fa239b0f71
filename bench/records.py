"""Records of runs: which one is what a configuration would run, and in what several differ."""

import json
from collections.abc import Iterator

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from bench import PROTOCOL

IMAGES = ("root", "ids", "subset", "sample", "limit")  # which images of a source: the same run all the same


def matches(record: dict, names: dict[str, str], cfg: DictConfig) -> bool:
    """Whether this run is what the configuration would run: same names, method, metric, seed, target, precision and
    protocol. Device and weights may differ.
    """
    metric = names["metric"]
    if record["cell"] != names or record["versions"]["protocol"] != PROTOCOL:
        return False
    ran = record["config"]
    return all((
        _same(ran["method"], cfg.method),
        _same(ran["metric"], cfg.metric[metric]),
        ran["run"]["seed"] == cfg.run.seed,
        ran["run"]["target"] == cfg.run.target,
        ran["compute"]["precision"] == cfg.compute.precision,
    ))  # fmt: skip


def _same(ran: dict, wanted: DictConfig) -> bool:
    return json.dumps(ran, sort_keys=True) == json.dumps(OmegaConf.to_container(wanted, resolve=True), sort_keys=True)


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

    dirty = " (with uncommitted changes)" if any(record["git"]["dirty"] for record in used) else ""
    most = numbers.loc[numbers["confidence"] == "all", "n"].max()
    return [
        f"Data: {', '.join(dict.fromkeys(numbers['data']))}; up to {most} images a cell.",
        f"Settings: precision {every('config', 'compute', 'precision')}, seed {every('config', 'run', 'seed')}, "
        f"target {every('config', 'run', 'target')}, device {every('device', 'name')}.",
        f"Newest run: {max(str(record['created']) for record in used)}; Heatproof {every('versions', 'heatproof')}, "
        f"protocol {every('versions', 'protocol')}, commit {every('git', 'commit')}{dirty}.",
    ]


def several(matching: list[str], runs: dict[str, dict], scored: pd.Series) -> str:
    """Why one run of several was shown."""
    told = labels({i: runs[i] for i in matching})
    each = "; ".join(f"{i[:8]} ({told[i]}, n = {scored.get(i, 0)})" for i in matching)
    cell = " · ".join(runs[matching[0]]["cell"][key] for key in ("model", "method", "metric"))
    return f"{cell}: several runs have these settings. Shown is the first, which has the most images: {each}."


def labels(records: dict[str, dict]) -> dict[str, str]:
    """{run_id: the settings in which it differs from the others}, such as "steps=5"; else the start of its id."""
    flat = {run_id: _identity(record) for run_id, record in records.items()}
    keys = list(dict.fromkeys(key for values in flat.values() for key in values))
    differing = [key for key in keys if len({values.get(key) for values in flat.values()}) > 1]
    found = {
        run_id: ", ".join(f"{key.split('.')[-1]}={values[key]}" for key in differing if key in values)
        for run_id, values in flat.items()
    }
    unique = len(set(found.values())) == len(found) and all(found.values())
    return found if unique else {i: f"{label}, {i[:8]}".removeprefix(", ") for i, label in found.items()}


def _identity(record: dict) -> dict[str, str]:
    """What can change a number, flat: {"method.steps": "5", …, "device.type": "cpu"}."""
    config = record.get("config", {})
    parts = {key: config.get(key, {}) for key in ("method", "metric", "model")}
    parts["model"] = {k: v for k, v in parts["model"].items() if k != "weights"}  # a local path; the digest says more
    parts["data"] = {k: v for k, v in config.get("data", {}).items() if k not in IMAGES}
    parts["run"] = {k: v for k, v in config.get("run", {}).items() if k in ("seed", "target")}
    parts["compute"] = {k: v for k, v in config.get("compute", {}).items() if k == "precision"}
    device = record.get("device") or {}
    parts["device"] = {"device": device.get("name") or device.get("type")}
    parts["weights"] = {"weights": str((record.get("weights") or {}).get("sha256"))[:8]}
    parts["versions"] = {"protocol": record.get("versions", {}).get("protocol")}
    return dict(_flat(parts, ""))


def _flat(tree: dict, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
