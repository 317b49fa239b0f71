"""python -m bench.sanity method=sm model=resnet50: does a map change when the network forgets what it learnt?

Cascading randomisation, Adebayo et al., NeurIPS 2018, https://arxiv.org/abs/1810.03292: layers are scrambled one after
the other, from the logits downwards, and the maps of the scrambled networks are compared with the trained network's by
the rank correlation of their magnitudes. A map that stays as it was does not explain the network. That is all that the
check can say: it is a guard which a method passes or fails, never a score to rank methods by. A method that multiplies
with the image keeps some likeness, whatever the network.

Scrambled: every tensor that a layer learnt keeps its values and loses their places, by a permutation from run.seed; so
scales stay those of a trained network. The running statistics of BatchNorm describe activations that are no more: they are
taken anew from the images, bottom up, in one pass. Layers count in the order in which the network defines them. The
target stays the trained network's prediction, and a method that draws is dealt the same numbers each time.
"""

import copy
from collections.abc import Iterator
from pathlib import Path

import hydra
import pandas as pd
import torch
from omegaconf import DictConfig
from scipy.stats import rankdata
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.choices import CONF
from bench.cli import cell
from bench.config import Config, launch
from bench.errors import UserError
from bench.images.stream import stream
from bench.networks.network import Network
from bench.rng import Rng
from bench.running.job import Job, open_job
from bench.text import plural
from bench.types import Images, PerImage

STAGES = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of the layers that are scrambled; the first stage is the last layer alone
THRESHOLD = 0.5  # a mean rank correlation with the trained network's maps that a fully scrambled one must stay below
IMAGES = 16  # unless data.limit says otherwise


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(cfg: DictConfig) -> None:
    cell(cfg, guard)


def guard(config: Config) -> None:
    """UserError: the method fails."""
    data = config.cfg.data
    compute = config.cfg.compute
    compute.fold, compute.engine = False, "torch"  # what is scrambled is what was learnt, layer by layer
    data.limit = IMAGES if data.limit is None else data.limit
    job = open_job(config)
    table = pd.DataFrame(compare(job))
    file = save(table, job)
    text, passed = verdict(table)
    images = plural(table["image_id"].nunique(), "image")
    print(f"{config.names['method']} on {config.names['model']}, {images}: {text}\n{file}")
    if not passed:
        raise UserError(f"{config.names['method']} fails: its maps hardly need the trained network.")


def verdict(table: pd.DataFrame) -> tuple[str, bool]:
    """Mean correlations stage by stage, and whether the last of them is below the threshold."""
    means = table.groupby("scrambled", sort=True)["correlation"].mean()
    stages = ", ".join(f"{share:.0%} {mean:.2f}" for share, mean in means.items() if share)
    passed = bool(means.iloc[-1] < THRESHOLD)
    return (
        f"rank correlation with the trained network's |maps|: last layer scrambled {means.iloc[0]:.2f}, {stages} of the "
        f"layers; {'passes' if passed else 'FAILS'} (limit {THRESHOLD})"
    ), passed


def compare(job: Job) -> Iterator[dict]:
    """One row an image and stage: how like the trained network's map that of the scrambled one is."""
    batches = [batch for batch in stream(job.source, job.ids, job.compute.batch_size, workers=0) if batch.ids]
    images = [job.compute.place(batch.x) for batch in batches]
    targets = [job.network(x).argmax(dim=1) for x in images]

    def maps(network: Network, k: int) -> Images:
        rng = job.rng(batches[k].padded_ids, images[k].device)
        return job.method(network, images[k], targets[k], rng).detach().abs()

    trained = [maps(job.network, k) for k in range(len(batches))]
    for share in STAGES:
        network = scrambled(job.network, share, job.seeds.draws, images)
        for k, batch in enumerate(batches):
            alike = rank_correlation(trained[k], maps(network, k)).tolist()
            for image, correlation in zip(batch.ids, alike, strict=False):
                yield {"image_id": image, "scrambled": share, "correlation": correlation}


def scrambled(network: Network, share: float, seed: int, images: list[Images]) -> Network:
    """A copy of which the last `share` of the layers, and at least the last one, have lost what they learnt."""
    network = copy.deepcopy(network)
    layers = [(name, module) for name, module in network.net.named_modules() if module._parameters]
    count = max(1, round(share * len(layers)))
    for name, module in layers[len(layers) - count :]:
        for key, tensor in module.named_parameters(recurse=False):
            lots = Rng(seed, f"sanity/{name}.{key}", [""], tensor.device).integers(1 << 62, tensor.numel())[0]
            tensor.data = tensor.flatten()[lots.argsort()].view_as(tensor).contiguous()
    settle(network, [module for _, module in layers[len(layers) - count :]], images)
    return network


@torch.no_grad()
def settle(network: Network, layers: list[nn.Module], images: list[Images]) -> None:
    """Running statistics of the BatchNorms among the layers: the images' own."""
    norms = [layer for layer in layers if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    for x in images if norms else []:
        network(x)
    network.eval()


def rank_correlation(a: Images, b: Images) -> PerImage:
    """Spearman's, image by image; 0 where a map is the same everywhere and ranks nothing."""
    one, other = (torch.from_numpy(rankdata(maps.flatten(1).cpu().numpy(), axis=1)) for maps in (a, b))
    one, other = (ranks - ranks.mean(dim=1, keepdim=True) for ranks in (one, other))
    return (one * other).sum(dim=1) / (one.norm(dim=1) * other.norm(dim=1)).clamp(min=1e-12)


def save(table: pd.DataFrame, job: Job) -> Path:
    """<results>/sanity/<method>-<model>-<data>.csv."""
    names = job.config.names
    file = job.results / "sanity" / f"{names['method']}-{names['model']}-{names['data']}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False)
    return file


if __name__ == "__main__":
    launch(main)
