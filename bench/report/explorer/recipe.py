"""How a number is had again: the command line that makes the run of a record, and no other."""

import functools
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from bench.choices import CONF, file
from bench.typed import PATHS

GROUPS = ("data", "model", "method", "metric", "compute", "run")
PLACES = {key for key in PATHS if key.startswith("data.")}  # a folder or a file of the images, on whatever machine
SEEDS = {"run.class_seed", "run.image_seed"}
WHATEVER = {  # what changes no number
    "compute.workers",
    "compute.batch_size",
    "run.shard",
    "run.save_attributions",
    "run.retry_failed",
    "run.check_images",
}


def command(record: Mapping) -> str:
    """`python -m bench.run data=… model=… method=… metric=[…]` and every setting that is not the usual one; DIR stands for
    a path of the machine that made it.
    """
    cell, config = record["cell"], record["config"]
    model = cell["model"] if file("model", cell["model"]).exists() else cell["model"].partition("-")[0]
    words = [f"data={cell['data']}", f"model={model}", f"method={cell['method']}", f"metric=[{cell['metric']}]"]
    names = {
        "data": cell["data"],
        "model": model,
        "method": cell["method"],
        "metric": cell["metric"],
        "compute": "default",
    }
    for group in GROUPS:
        usual = _usual(group, names.get(group, ""))
        key = f"metric.{cell['metric']}" if group == "metric" else group
        words += _differing(key, config.get(group) or {}, usual, (config.get("run") or {}).get("seed", 0))
    return f"python -m bench.run {shlex.join(words)}"


def check(record: Mapping) -> str:
    """The command line that computes some of the run's rows again and compares."""
    return f"python -m bench.verify {record['run_id']}"


@functools.cache
def _usual(group: str, name: str) -> Mapping:
    """The settings of a choice, those that all choices have in common among them."""
    common = _yaml("config").get(group) if not name or group in ("data", "method") else {}
    chosen = file(group, name)
    own = yaml.safe_load(chosen.read_text(encoding="utf-8")) if name and chosen.exists() else {}
    return {**(common or {}), **(own.get(name, {}) if group == "metric" else own)}


@functools.cache
def _yaml(name: str) -> Mapping:
    return yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))


def _differing(key: str, made: Mapping, usual: Mapping, seed: int) -> Iterator[str]:
    """Overrides for all that is otherwise than usual.  seed: what other seeds are, unless they are given."""
    for name, value in made.items():
        at, there = f"{key}.{name}", usual.get(name)
        if name in ("_target_", "_partial_") or at in WHATEVER or value == there:
            continue
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            yield from _differing(at, value, there, seed)
        elif at in PLACES or (at in PATHS and value not in (None, "random") and not _computed(there)):
            if value is not None:
                yield f"{at}=DIR"
        elif not _computed(there) or (at in SEEDS and value != seed):
            yield f"{'' if name in usual else '+'}{at}={_written(value)}"


def _computed(value: Any) -> bool:
    """From other settings."""
    return isinstance(value, str) and "${" in value


def _written(value: Any) -> str:
    """As Hydra reads it."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_written(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    if (
        isinstance(value, str)
        and re.fullmatch(r"[A-Za-z_][\w.-]*(/\d+)?", value)
        and value.lower() not in ("true", "null")
    ):
        return value
    return json.dumps(value, ensure_ascii=False)
