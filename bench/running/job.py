"""One job of the benchmark, opened: a network, a method, metrics and images, and the identity of what they make."""

import datetime
import functools
import hashlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml
from omegaconf import DictConfig, OmegaConf

import bench
from bench.build import build
from bench.config import ROOT, Config, flag
from bench.errors import UserError
from bench.images.source import Source, open_source
from bench.networks.network import Network, open_network
from bench.rng import Rng
from bench.running import compute
from bench.store import code
from bench.store.atomic import atomic_write
from bench.store.records import PLACES, addressless
from bench.store.rows import Rows
from metrics import confusion

RECORDED = ("torch", "torchvision", "timm", "hydra-core", "omegaconf", "numpy", "pandas", "pyarrow", "pillow")


@dataclass
class Job:
    """Everything the loop needs, built from a configuration."""

    config: Config
    network: Network
    weights: str  # sha256 of what the network learnt
    compute: compute.Compute
    source: Source
    ids: list[str]  # the images of this process: selected, and of its shard
    method: Callable
    metrics: dict[str, Callable]
    results: Path
    save_attributions: bool
    unmapped: dict[str, str] = field(default_factory=dict)  # images whose map was wanted and could not be had, and why
    _run_ids: dict[str, str] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        return self.config.cfg.run.seed

    @property
    def method_name(self) -> str:
        return self.config.names["method"]

    def identity(self, metric: str | None) -> dict:
        """All that can change a number, and nothing else: not where files lie, how many images, what batch size."""
        cfg = {
            group: addressless(OmegaConf.to_container(self.config.cfg[group], resolve=True))
            for group in ("model", "data", "method")
        }
        metrics = self.config.cfg.get("metric")
        return {
            "protocol": bench.PROTOCOL,
            "model": {k: v for k, v in cfg["model"].items() if k not in PLACES["model"]} | {"digest": self.weights},
            "data": {k: v for k, v in cfg["data"].items() if k not in PLACES["data"]}
            | {"name": self.config.names["data"], "collection": getattr(self.source, "collection", None)},
            "method": {"name": self.method_name, **cfg["method"]}  # the name picks the random streams
            | {f"{name}.digest": value.digest() for name, value in bound(self.method).items()},
            "metric": {"name": metric, **addressless(OmegaConf.to_container(metrics[metric], resolve=True))}
            if metric
            else None,
            "precision": self.config.cfg.compute.precision,
            "device": self.compute.device.type,
            "seed": self.seed,
            "target": self.config.cfg.run.target,
            "code": self.code(metric),
        }

    def code(self, metric: str | None) -> dict[str, int | str]:
        """{builder: which version of it} of the network, the images, the method and the metric."""
        cfg = self.config.cfg
        built = {"model": cfg.model, "data": cfg.data, "method": cfg.method}
        built |= {"metric": cfg.metric[metric]} if metric else {}
        return code.versions({group: OmegaConf.to_container(part, resolve=True) for group, part in built.items()})

    def fingerprint(self, image: str) -> str:
        """Of all that an image's row is made from: the picture, and a file that the method reads for it, if it does."""
        own = getattr(getattr(self.method, "func", None), "fingerprint", None)
        return self.source.fingerprint(image) + (own(image, **self.method.keywords) if own else "")

    def run_id(self, metric: str) -> str:
        if metric not in self._run_ids:
            self._run_ids[metric] = _digest(self.identity(metric))
        return self._run_ids[metric]

    @functools.cached_property
    def attribution_id(self) -> str:
        """Of the maps, whatever metrics they are scored by."""
        return _digest(self.identity(None))

    def rows(self, metric: str) -> Rows:
        return Rows(self.results, {**self.config.names, "metric": metric}, self.run_id(metric))

    @functools.cached_property
    def colour(self) -> dict:
        """The network's confusion colour: published with the weights, or searched once per network and seed."""
        if self.network.confusion is not None:
            return {"colour": list(self.network.confusion), "source": "conf/model"}
        network, size, device = self.network, self.network.preprocessing.size, self.compute.device
        scale = [network.mean.flatten().tolist(), network.std.flatten().tolist()]
        key = [self.weights, scale, size, device.type, self.config.cfg.compute.precision, self.seed, bench.PROTOCOL]
        file = self.results / "confusion" / f"{_digest(key)}.yaml"
        if not file.exists():
            print("Searching the network's confusion colour: 6400 forward and backward passes, once.", file=sys.stderr)
            found = confusion.search(self.network, Rng(self.seed, "confusion", [""], device), size)
            _write_yaml(file, {"weights": self.weights, **vars(found), "colour": list(found.colour)})
        return yaml.safe_load(file.read_text())

    def colour_tensor(self) -> torch.Tensor:
        return torch.tensor(self.colour["colour"])

    @property
    def maps(self) -> Path:
        """The folder of this cell's maps."""
        return self.results / "attributions" / self.attribution_id

    def record(self, metric: str | None) -> None:
        """The recipe beside the rows: <results>/runs/<run_id>.yaml; of maps that nothing scores, recipe.yaml beside them.

        A run continued elsewhere keeps both histories.
        """
        cfg = OmegaConf.to_container(self.config.cfg, resolve=True)
        run_id = self.run_id(metric) if metric else None
        file = self.results / "runs" / f"{run_id}.yaml" if metric else self.maps / "recipe.yaml"
        scored = cfg["metric"][metric] if metric else None
        session = {
            "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": " ".join(["python -m bench.run", *self.config.overrides]),
            "git": _git(),
            "versions": _versions(),
            "device": {
                "type": self.compute.device.type,
                "name": self.compute.device_name,
                "batch_size": self.compute.batch_size,
                "threads": torch.get_num_threads(),
            },
        }
        record = {
            "run_id": run_id,
            "attribution_id": self.attribution_id,
            "cell": {**self.config.names, "metric": metric},
            "config": {group: cfg[group] for group in ("model", "method", "data", "compute", "run")}
            | {"metric": scored},
            "code": self.code(metric),
            "preprocessing": vars(self.network.preprocessing),
            "weights": {"digest": self.weights, **_file(self.network.weights_file)},
            **({"confusion": self.colour} if scored and scored.get("baseline") == "confusion" else {}),
            **session,
            "data": {"images": len(self.source.ids), "collection": getattr(self.source, "collection", None)},
            "continued": [],
        }
        if file.exists():
            record = yaml.safe_load(file.read_text())
            record["continued"] = [*record.get("continued", []), session]
        _write_yaml(file, record)


def open_job(config: Config) -> Job:
    """Build everything that `config` names, and say in one sentence what is wrong with it."""
    cfg = config.cfg
    network = open_network(cfg.model)
    weights = network.digest()
    settings, network = compute.prepare(cfg.compute, network)
    source, ids = open_source(cfg.data, network.preprocessing, cfg.run.seed)
    if not isinstance(cfg.run.seed, int):
        raise UserError(f"run.seed={cfg.run.seed}: expected a whole number.")
    if cfg.run.target not in ("prediction", "label"):
        raise UserError(f"run.target={cfg.run.target}: expected prediction or label.")
    save, metrics = flag(cfg.run, "save_attributions"), cfg.get("metric") or {}
    if not metrics and not save:
        raise UserError(
            "metric=[] scores nothing: name a metric, or keep the maps alone with run.save_attributions=true."
        )
    method = build(cfg.method, "method")
    bind(method, source, cfg.run.seed)
    return Job(
        config=config,
        network=network,
        weights=weights,
        compute=settings,
        source=source,
        ids=shard(ids, cfg.run.shard),
        method=method,
        metrics={name: build(metric, f"metric.{name}") for name, metric in metrics.items()},
        results=Path(cfg.paths.results),
        save_attributions=save,
    )


def bind(method: Callable, source: Source, seed: int) -> None:
    """Give every argument of the method that asks for it (EG's references) the run's source and seed."""
    for argument in bound(method).values():
        argument.bind(source, seed)


def bound(method: Callable) -> dict[str, object]:
    """The arguments of a method that read images themselves. Each has bind(source, seed) and digest()."""
    return {name: value for name, value in getattr(method, "keywords", {}).items() if hasattr(value, "bind")}


def shard(ids: list[str], part: str) -> list[str]:
    """The i-th of n disjoint parts, i from 0: every n-th image, so that parts take equally long."""
    try:
        i, n = (int(number) for number in str(part).split("/"))
    except ValueError:
        i, n = -1, 0
    if not 0 <= i < n:
        raise UserError(f"run.shard={part}: expected i/n with 0 <= i < n, for example 0/4.")
    return ids[i::n]


def _digest(identity: object) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _file(file: Path | None) -> dict:
    if file is None:
        return {"file": None, "sha256": None}
    return {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def _versions() -> dict[str, str]:
    versions = {"heatproof": bench.__version__, "protocol": str(bench.PROTOCOL), "python": sys.version.split()[0]}
    return versions | {name: _version(name) for name in RECORDED} | {"torch": str(torch.__version__)}  # with its build


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def _git() -> dict:
    """The commit of this code, if it is a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def _write_yaml(file: Path, content: dict) -> None:
    with atomic_write(file) as path:
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
