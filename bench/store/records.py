"""Records of runs: which one is what a configuration would run, and in what several differ."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml
from omegaconf import DictConfig, OmegaConf

from bench import PROTOCOL
from bench.store import code
from bench.text import plural
from metrics.quantities import said

PLACES = {  # other values are the same run all the same
    "model": ("weights",),
    "data": ("root", "devkit", "n", "ids", "subset", "sample", "limit"),
}


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, eight times as fast, if there is libyaml
CODED = ("model", "data", "method", "metric")  # what of a configuration is built


def load_runs(results: Path) -> dict[str, dict]:
    """{run_id: its record}, in the order of the run ids."""
    records = [yaml.load(path.read_text(), LOADER) for path in sorted((results / "runs").glob("[!.]*.yaml"))]
    return {record["run_id"]: record for record in records}


def addressless(settings: object) -> object:
    """Settings by the names of their builders, without where these lie: moved code makes the same numbers."""
    if isinstance(settings, dict):
        named = {k: addressless(v) for k, v in settings.items() if k not in ("_target_", "_partial_")}
        return ({"builder": settings["_target_"].rpartition(".")[2]} if "_target_" in settings else {}) | named
    return [addressless(item) for item in settings] if isinstance(settings, list) else settings


def matches(record: dict, names: dict[str, str], cfg: DictConfig) -> bool:
    """Whether this run is what the configuration would run; device and weights may differ."""
    if record["cell"] != names or str(record["versions"]["protocol"]) != str(PROTOCOL):
        return False
    wanted = {group: OmegaConf.to_container(cfg[group], resolve=True) for group in record["config"]}
    wanted["metric"] = wanted["metric"][names["metric"]]
    if _settings(record["config"]) != _settings(wanted):
        return False
    now = code.versions({group: wanted[group] for group in CODED if group in wanted})
    return record.get("code", now) == now


def _settings(config: dict) -> dict[str, dict]:
    """What of a configuration can change a number."""
    settings = {group: addressless(config.get(group, {})) for group in CODED}
    random = settings["model"].get("weights") == "random"  # whichever file they are in, these are not in any
    for group, keys in PLACES.items():
        settings[group] = {key: value for key, value in settings[group].items() if key not in keys}
    settings["model"]["random"] = random
    settings["run"] = {key: config["run"][key] for key in ("seed", "target")}
    settings["compute"] = {"precision": config["compute"]["precision"]}
    return settings


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

    commits = ", ".join(sorted({str(record["git"]["commit"])[:10] for record in used}))
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
    flat = {run_id: identity(record) for run_id, record in records.items()}
    keys = list(dict.fromkeys(key for values in flat.values() for key in values))
    differing = [key for key in keys if len({values.get(key) for values in flat.values()}) > 1]
    found = {
        run_id: ", ".join(f"{key.split('.')[-1]}={values[key]}" for key in differing if key in values)
        for run_id, values in flat.items()
    }
    unique = len(set(found.values())) == len(found) and all(found.values())
    return found if unique else {i: f"{label}, {i[:8]}".removeprefix(", ") for i, label in found.items()}


def identity(record: dict) -> dict[str, str]:
    """All that can change a number, flat: {"method.steps": "5", …, "device": "cpu"}."""
    parts = _settings(record["config"]) if record else {}
    parts["device"] = device(record)
    parts["weights"] = _digest(record)
    parts["protocol"] = record.get("versions", {}).get("protocol")
    parts["images"] = collection(record)
    parts["code"] = {k: v for k, v in record.get("code", {}).items() if isinstance(v, str)}  # not what shipped
    return dict(_flat(parts, ""))


def conditions(record: dict) -> dict[str, str]:
    """What two runs must have in common to be compared image by image: all but method, device and, unless the metric
    draws, seed.
    """
    metric = record.get("config", {}).get("metric") or {}
    drawn = "_target_" in metric and said(metric["_target_"]).draws
    free = ("device",) if drawn else ("device", "run.seed")
    methods = {f"code.{target.rpartition('.')[2]}" for target in code.targets(record.get("config", {}).get("method"))}
    flat = {k: v for k, v in identity(record).items() if not k.startswith("method.") and k not in {*free, *methods}}
    colour = (record.get("confusion") or {}).get("colour")
    return flat | {"confusion colour": str(colour)}


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


def _flat(tree: dict, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
