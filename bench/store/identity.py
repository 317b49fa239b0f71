"""What a run is: all that can change a number, and nothing else. Not where files or code lie, how many images, what batch.

It is written into the run's record and asked for everything: the id that rows are filed under, whether a run answers a
report's question, what tells runs apart, and which may be compared.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench import PROTOCOL
from bench.seeds import Seeds
from bench.store import code
from bench.text import called

PLACES = {  # other values are the same run all the same
    "model": ("weights",),
    "data": ("root", "devkit", "masks_path", "n", "ids", "subset", "sample", "limit"),
}
USUAL = (("split", "validation"),)  # of data: what null says as well, whatever files there are
BEFORE = (("fold", False), ("engine", "torch"))  # how it was before there was a choice: ids say nothing of it
OF_SOME = ("feature_layer", "confusion", "published_confusion")  # of a network; read by some methods, by some metrics


@dataclass(frozen=True)
class Identity:
    protocol: str
    model: dict  # the settings, by the names of their builders
    data: dict
    method: dict  # with its name, which picks the random streams
    metric: dict | None  # None: of maps, whatever they are scored by
    precision: str
    seed: int | dict  # one, or {"draws": …, "classes": …, "images": …}
    target: str
    code: dict  # {builder: which version of its numbers, or the digest of its code}
    fold: bool = False  # batch norms, into the layers before them
    engine: str = "torch"  # who computes passes without gradients, such as onnxruntime:CPU
    found: dict = field(default_factory=dict)  # what no setting says: weights (a digest), device, collection, method.*

    @classmethod
    def of(cls, config: Mapping, names: Mapping, metric: str | None, found: Mapping, built: Mapping | None = None):
        """Of a resolved configuration, {"model": …, "data": …, "method": …, "metric": of this metric, "run": …, …}.

        names: {"data": …, "method": …}.  built: the versions of the code, if they are known already.
        """
        parts = {group: addressless(config[group]) for group in ("model", "data", "method")}
        scored = {"name": metric, **addressless(config["metric"])} if metric else None
        model = {key: value for key, value in parts["model"].items() if key not in (*PLACES["model"], *OF_SOME)}
        if "name" in model:
            model["name"] = called(str(model["name"]))
        model["random"] = parts["model"].get("weights") == "random"  # whichever file they are in, these are not in any
        method = {"name": names["method"], **parts["method"]}
        if post := method.pop("post", None):
            method["post"] = "+".join(post)
        if "layer" in method:
            method["layer"] = method["layer"] or parts["model"].get("feature_layer")
        if scored and "confusion" in scored.values():
            scored |= {key: parts["model"].get(key) for key in OF_SOME[1:]}
        named = {group: config[group] for group in ("model", "data", "method", *(["metric"] if metric else []))}
        return cls(
            protocol=str(PROTOCOL),
            model=model,
            data={
                key: None if (key, value) in USUAL else value
                for key, value in parts["data"].items()
                if key not in PLACES["data"]
            }
            | {"name": names["data"]},
            method=method,
            metric=scored,
            precision=config["compute"]["precision"],
            seed=Seeds.of(config["run"]).told(),
            target=config["run"]["target"],
            code=dict(built) if built is not None else code.versions(named),
            fold=bool(config["compute"].get("fold", False)),
            engine=engine(config["compute"]),
            found=dict(found),
        )

    @property
    def id(self) -> str:
        parts = {key: value for key, value in asdict(self).items() if (key, value) not in BEFORE}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def answers(self, wanted: "Identity") -> bool:
        """Whether this run is what was asked for. What no setting says may differ: the weights, the device, the images."""
        return replace(self, found={}) == replace(wanted, found={})

    def flat(self) -> dict[str, str]:
        """{"method.steps": "5", …, "weights": "1fe28e0b"}."""
        parts = asdict(self) | {"code": {k: v for k, v in self.code.items() if isinstance(v, str)}}  # not what shipped
        found = parts.pop("found")
        return dict(_flat(parts | _seeds(parts["seed"]) | found | {"weights": str(found.get("weights"))[:8]}, ""))

    def conditions(self, drawn: bool) -> dict[str, str]:
        """What two runs must have in common to be compared image by image: all but method, device and, unless the
        metric draws, seed.
        """
        own = {f"code.{name}" for name in _builders(self.method)}
        flat = self.flat()
        return {
            key: value
            for key, value in flat.items()
            if not key.startswith(("method.", "seed")) and key not in {"device", *own}
        } | ({"seed": flat["seed"]} if drawn else {})


def differences(identities: Mapping[str, Identity]) -> dict[str, str]:
    """{run_id: the settings in which it differs from the others}, such as "steps=5", or "post=none" where others have
    it; else the start of its id.
    """
    flat = {run_id: one.flat() for run_id, one in identities.items()}
    keys = list(dict.fromkeys(key for values in flat.values() for key in values))
    differing = [key for key in keys if len({_valued(values, key) for values in flat.values()}) > 1]
    told = {
        run_id: ", ".join(
            f"{key.split('.')[-1]}={value}" for key in differing if (value := _valued(values, key)) is not None
        )
        for run_id, values in flat.items()
    }
    told = {i: label or ", ".join(f"{key.split('.')[-1]}=none" for key in differing) for i, label in told.items()}
    unique = len(set(told.values())) == len(told) and all(told.values())
    return told if unique else {i: f"{label}, {i[:8]}".removeprefix(", ") for i, label in told.items()}


def _seeds(told: int | dict) -> dict[str, int]:
    """One seed, and those that are not as it: {"seed": 1, "seed.images": 0}."""
    draws = told["draws"] if isinstance(told, dict) else told
    others = told.items() if isinstance(told, dict) else ()
    return {"seed": draws} | {f"seed.{key}": value for key, value in others if value != draws}


def _valued(flat: Mapping[str, str], key: str) -> str | None:
    return flat.get(key, flat.get("seed") if key.startswith("seed.") else None)


def engine(compute: Mapping) -> str:
    """Who computes passes without gradients, and with what."""
    kind = compute.get("engine", "torch")
    return f"{kind}:{compute['provider']}" if kind == "onnxruntime" else kind


def addressless(settings: Any) -> Any:
    """Settings by the names of their builders, without where these lie: moved code makes the same numbers."""
    if isinstance(settings, dict):
        named = {k: addressless(v) for k, v in settings.items() if k not in ("_target_", "_partial_")}
        return ({"builder": code.name(settings["_target_"])} if "_target_" in settings else {}) | named
    return [addressless(item) for item in settings] if isinstance(settings, list) else settings


def _builders(tree: object) -> Iterator[str]:
    if isinstance(tree, dict):
        yield from ([tree["builder"]] if "builder" in tree else [])
        for value in tree.values():
            yield from _builders(value)


def _flat(tree: dict, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
