"""What the classes of a network are called: the weights' own categories, found without importing what they come with."""

import ast
import functools
from collections.abc import Mapping, Sequence

from bench.modules import source

LITE = (
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
)  # their packages' weights are of ImageNet's 1000
IMAGENET = "in1k"  # in the tag of timm's weights: "resnet18.a1_in1k"; "in12k_ft_in1k" ends with it, too


def names(record: Mapping) -> Sequence[str]:
    """In the order of the logits; none where nobody says: of a module of one's own, a file of weights, random ones."""
    if said := (record.get("weights") or {}).get("classes"):
        return [str(name) for name in said]
    model = record.get("config", {}).get("model", {})
    builder = str(model.get("_target_")).rpartition(".")[2]
    published = model.get("weights") is None
    tagged = builder == "timm_network" and str(model.get("name")).partition(".")[2].split("_")[-1] == IMAGENET
    return _imagenet() if published and (builder in (*LITE, "torchvision_network") or tagged) else ()


@functools.cache
def _imagenet() -> Sequence[str]:
    """torchvision's list, which its classifiers' published weights name; timm orders classes likewise, by wnid."""
    file = source("torchvision.models._meta")
    tree = ast.parse(file.read_text(encoding="utf-8")) if file else ast.Module([], [])
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_IMAGENET_CATEGORIES":
            return ast.literal_eval(node.value)
    return ()
