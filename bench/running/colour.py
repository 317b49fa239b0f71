"""The network's confusion colour: published with the weights, or searched once per network and seed."""

import hashlib
import json
import sys
from pathlib import Path

import yaml

from bench import PROTOCOL
from bench.networks.network import Network
from bench.rng import Rng
from bench.running.compute import Compute
from bench.store.atomic import atomic_write
from metrics import confusion


def confusion_colour(
    network: Network, weights: str, compute: Compute, precision: str, seed: int, results: Path
) -> dict[str, object]:
    """{"colour": [r, g, b], …}. What is searched is kept: <results>/confusion/<of what>.yaml.  weights: their digest."""
    if network.confusion is not None:
        return {"colour": list(network.confusion), "source": "conf/model"}
    size, device = network.preprocessing.size, compute.device
    scale = [network.mean.flatten().tolist(), network.std.flatten().tolist()]
    otherwise = [*(["folded"] if compute.folded else []), *([compute.engine.name] if compute.engine else [])]
    key = json.dumps([weights, scale, size, device.type, precision, seed, PROTOCOL, *otherwise], sort_keys=True)
    file = results / "confusion" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.yaml"
    if not file.exists():
        print("Searching the network's confusion colour: 6400 forward and backward passes, once.", file=sys.stderr)
        found = confusion.search(network, Rng(seed, "confusion", [""], device), size)
        content = {"weights": weights, **vars(found), "colour": list(found.colour)}
        with atomic_write(file) as path:
            path.write_text(yaml.safe_dump(content, sort_keys=False))
    return yaml.safe_load(file.read_text())
