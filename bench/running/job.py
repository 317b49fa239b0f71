"""One job of the benchmark, opened: a network, a method, metrics and images, and the identity of what they make."""

import functools
import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from bench.build import build
from bench.config import USUAL_SIZE, Config
from bench.errors import UserError
from bench.images.source import Source, check_labels, open_source
from bench.networks.examine import examine
from bench.networks.network import Network, open_network
from bench.rng import Rng
from bench.running import compute
from bench.running.colour import confusion_colour
from bench.running.guests import AUTOCAST
from bench.running.post import build_method
from bench.seeds import Seeds
from bench.store import records
from bench.store.atomic import writable
from bench.store.identity import Identity
from bench.store.maps import Maps
from bench.store.rows import Rows
from metrics.quantities import said


@dataclass(frozen=True)
class Given:
    """Parts of a job that are objects at hand, in place of what the configuration would build under the same keys.

    found: by what they are told apart where neither settings nor weights do, {"module": a digest}.
    """

    network: Network | None = None
    source: Callable[..., Source] | None = None  # of the preprocessing
    method: Callable | None = None
    found: Mapping[str, str] = field(default_factory=dict)


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
    warnings: list[str] = field(default_factory=list)  # what is unusual about the network, for the record
    given: Mapping[str, str] = field(default_factory=dict)  # found of what was given as an object
    kept: Any = None  # what of the method's maps lies in the store: bench/running/kept.py
    examined: set[str] = field(default_factory=set)  # parts of somebody else's seen at work: bench/running/examined.py
    _run_ids: dict[str, str] = field(default_factory=dict)

    @property
    def seeds(self) -> Seeds:
        return Seeds.of(self.config.cfg.run)

    def rng(self, ids: list[str], device: torch.device) -> Rng:
        """The method's streams of these images."""
        stream = self.config.cfg.method.get("stream") or self.method_name
        return Rng(self.seeds.draws, stream, ids, device, self.seeds.classes)

    @property
    def method_name(self) -> str:
        return self.config.names["method"]

    def identity(self, metric: str | None) -> Identity:
        """metric: None: of the maps, whatever they are scored by."""
        return Identity.of(records.settings(self.config.cfg, metric), self.config.names, metric, self._found)

    @functools.cached_property
    def _found(self) -> dict[str, str | None]:
        """What no setting says and may change a number."""
        found = {
            "weights": self.weights,
            "device": self.compute.device.type,
            "collection": self.source.collection,
        }
        found |= self.network.found
        found |= self.given
        found |= {f"method.{name}": value.digest() for name, value in bound(self.method).items()}
        if self.config.cfg.compute.allow_chance:
            found["chance"] = "allowed"
        if layer := layer_read(self.method, self.network):  # which one it is where nobody names it
            found["method.layer"] = layer
        return found

    @property
    def layer(self) -> str | None:
        """Of the network, that the method reads; None: it reads none."""
        return self._found.get("method.layer")

    def made_of(self, image: str, picture: str) -> str:
        """The picture's fingerprint, and that of a file that the method reads for this image, if it does."""
        own = getattr(getattr(self.method, "func", None), "fingerprint", None)
        return picture + (own(image, **self.method.keywords) if own else "")  # type: ignore[attr-defined]

    def run_id(self, metric: str) -> str:
        if metric not in self._run_ids:
            self._run_ids[metric] = self.identity(metric).id
        return self._run_ids[metric]

    @functools.cached_property
    def attribution_id(self) -> str:
        """Of the maps, whatever metrics they are scored by."""
        return self.identity(None).id

    def rows(self, metric: str) -> Rows:
        return Rows(self.results, {**self.config.names, "metric": metric}, self.run_id(metric))

    @functools.cached_property
    def maps(self) -> Maps:
        return Maps(self.results, self.attribution_id)

    @functools.cached_property
    def colour(self) -> dict[str, object]:
        """The network's confusion colour, and where it comes from."""
        precision = self.config.cfg.compute.precision
        return confusion_colour(self.network, self.weights, self.compute, precision, self.seeds.draws, self.results)

    def colour_tensor(self) -> torch.Tensor:
        return torch.tensor(self.colour["colour"])

    def recorded(self, metric: str | None) -> bool:
        """Whether there is a record that can be read."""
        return records.read(self._record(metric)) is not None

    def _record(self, metric: str | None) -> Path:
        return self.results / "runs" / f"{self.run_id(metric)}.yaml" if metric else self.maps.folder / "recipe.yaml"

    def record(self, metric: str | None) -> None:
        """The recipe beside the rows: <results>/runs/<run_id>.yaml; of maps that nothing scores, recipe.yaml beside them."""
        config, run_id = records.settings(self.config.cfg, metric), self.run_id(metric) if metric else None
        record = {
            "run_id": run_id,
            "attribution_id": self.attribution_id,
            "cell": {**self.config.names, "metric": metric},
            "identity": asdict(self.identity(metric)),
            "config": config,
            **(asdict(said(config["metric"]["_target_"])) if metric else {}),
            "preprocessing": vars(self.network.preprocessing),
            **({"folded": asdict(self.compute.folded)} if self.compute.folded else {}),
            "weights": {"digest": self.weights, **_file(self.network.weights_file), **self.network.recorded},
            **({"confusion": self.colour} if metric and config["metric"].get("baseline") == "confusion" else {}),
            **({"warnings": self.warnings} if self.warnings else {}),
            "data": {"images": len(self.source.ids), "collection": self.source.collection},
        }
        device = {
            "type": self.compute.device.type,
            "name": self.compute.device_name,
            "batch_size": self.compute.batch_size,
            "threads": torch.get_num_threads(),
            **({"engine": self.compute.engine.record} if self.compute.engine else {}),
        }
        records.write(self._record(metric), record, self.config.overrides, device, {"torch": str(torch.__version__)})


def as_torch_starts() -> None:
    """UserError: a script has changed what torch computes in."""
    if torch.get_default_dtype() is not torch.float32:
        raise UserError(
            f"torch's default dtype is {torch.get_default_dtype()}: set it back to torch.float32; compute.precision=fp64 "
            "computes in float64."
        )
    if any(torch.is_autocast_enabled(device) for device in AUTOCAST):
        raise UserError(
            "torch.autocast is on: call this outside of it; compute.precision=bf16 scores in half precision."
        )


def open_job(config: Config, given: Given | None = None) -> Job:
    """Build everything that `config` names, but for what is given, and say in one sentence what is wrong with it."""
    given = given or Given()
    cfg = config.cfg
    results = Path(cfg.paths.results)
    writable(results)
    as_torch_starts()
    compute.find_device(cfg.compute.device, cfg.compute.precision)  # before anything costly
    network = given.network or open_network(cfg.model)
    classes, warnings = examine(network, cfg.compute.allow_chance)
    weights = network.digest()
    method = given.method or build_method(cfg.method)
    if check := getattr(getattr(method, "func", None), "check", None):  # of files that it reads
        check(**method.keywords)  # type: ignore[attr-defined]
    settings, network = compute.prepare(cfg.compute, network, looked_at(method, network))
    source, ids = open_source(cfg.data, network.preprocessing, Seeds.of(cfg.run).images, given.source)
    if cfg.run.target == "label":
        check_labels(source, ids, classes)
    if source.classes not in (None, classes):
        warnings.append(
            f"{network.name} has {classes} classes and the images {source.classes}: labels may mean other things"
        )
    if unknown := unstepped(cfg, network):
        warnings.append(unknown)
    for warning in warnings:
        print(f"warning: {warning}.", file=sys.stderr)
    save, metrics = cfg.run.save_attributions, cfg.get("metric") or {}
    if not metrics and not save:
        raise UserError(
            "metric=[] scores nothing: name a metric, or keep the maps alone with run.save_attributions=true."
        )
    for metric in metrics.values():
        said(metric._target_)  # or it is refused now, and not when its first rows are there
    bind(method, source, Seeds.of(cfg.run).images)
    return Job(
        config=config,
        network=network,
        weights=weights,
        compute=settings,
        source=source,
        ids=shard(ids, cfg.run.shard),
        method=method,
        metrics={name: build(metric, f"metric.{name}") for name, metric in metrics.items()},
        results=results,
        save_attributions=save,
        warnings=warnings,
        given=given.found,
    )


def unstepped(cfg: DictConfig, network: Network) -> str:
    """What is odd of games with a given number of steps, where the network alone knows the size of its images."""
    size = network.preprocessing.size
    metrics = (cfg.get("metric") or {}).items()
    games = [name for name, metric in metrics if "step" in metric and OmegaConf.is_interpolation(metric, "step")]
    if cfg.model.size is not None or size == USUAL_SIZE or not games:
        return ""
    return (
        f"model.size does not say that {network.name} takes {size} pixels, so that {', '.join(games)} go as many values a "
        f"step as at {USUAL_SIZE} pixels, and in another number of steps; model.size={size} keeps their number"
    )


def layer_read(method: Callable, network: Network) -> str | None:
    """The layer that a method reads; None: it reads none."""
    keywords = getattr(method, "keywords", {})
    return network.layer_name(keywords["layer"]) if "layer" in keywords else None


def looked_at(method: Callable, network: Network) -> list[str]:
    """Names of the modules whose output a method looks at: all, if it says so (`looks_inside`), else its `layer`."""
    if getattr(getattr(method, "func", method), "looks_inside", False):
        return [name for name, _ in network.net.named_modules()]
    layer = layer_read(method, network)
    return [layer] if layer else []


def bind(method: Callable, source: Source, seed: int) -> None:
    """Give every argument of the method that asks for it (EG's references) the run's source and seed."""
    for argument in bound(method).values():
        argument.bind(getattr(source, "plain", source), seed)  # other images need no masks


def bound(method: Callable) -> dict[str, Any]:
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


def _file(file: Path | None) -> dict:
    if file is None:
        return {"file": None, "sha256": None}
    return {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
