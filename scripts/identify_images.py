"""Which of the papers' two image sets is this? python scripts/identify_images.py data=la_release data.root=DIR

The tables of LA, AttEXplore and AII stand on two sets of 1000 images under one description (docs/contradictions.md, 1).
AII's tables imply how many images of each the papers' networks are confident of (largest softmax probability of 0.70 and
more); this counts them with torchvision's IMAGENET1K_V1 weights at 224 pixels. Takes what `bench.run` takes; 3000 forward
passes for 1000 images.
"""

from collections.abc import Iterable

import torch
from torch import nn

from bench.cli import command
from bench.config import load
from bench.images.source import Batch
from bench.running.job import open_job
from bench.studies import study
from bench.text import plural

NETWORKS = ("inception_v3", "resnet50", "vgg16")
SETS = {
    "A": (923, 825, 780),  # LA Tables 1, 2; AII Tables 3, 7, 8, 10
    "B": (716, 791, 648),  # LA Tables 3, 4; AII Tables 1, 2, most of 4 to 6; AttEXplore
}
IMAGES = 1000
TOLERANCE = 10  # images: PNGs lose up to a grey level; the sets are 34 to 207 apart


def main(overrides: list[str]) -> None:
    found = []
    for name in NETWORKS:
        job = open_job(load(["metric=[unified]", *overrides, f"model={name}"]))
        images, confident, labelled, right = count(job.network, study.batches(job), job.config.cfg.report.threshold)
        accuracy = f"{right / labelled:.1%} of {labelled} labels right" if labelled else "no labels"
        print(f"{name:14} {confident:5} of {plural(images, 'image')} with confidence ≥ 70 %; {accuracy}", flush=True)
        found.append(confident)
    print(verdict(tuple(found), images))


@torch.inference_mode()
def count(network: nn.Module, batches: Iterable[Batch], threshold: float) -> tuple[int, int, int, int]:
    """Images; those of them with confidence; those with a label; those of the latter that are right."""
    images = confident = labelled = right = 0
    for batch in batches:
        p, prediction = network(batch.x).softmax(dim=1)[: len(batch.ids)].max(dim=1)  # a short batch is padded
        images += len(batch.ids)
        confident += int((p >= threshold).sum())
        labelled += sum(label is not None for label in batch.labels)
        right += sum(label == k for label, k in zip(batch.labels, prediction.tolist(), strict=True))
    return images, confident, labelled, right


def verdict(found: tuple[int, ...], images: int) -> str:
    """found: confident images, in the order of NETWORKS."""
    if images != IMAGES:
        return f"No verdict: the papers' sets have {IMAGES} images, these are {images}."
    distances = {name: [abs(a - b) for a, b in zip(found, counts, strict=True)] for name, counts in SETS.items()}
    name = min(SETS, key=lambda name: sum(distances[name]))
    wanted, worst = " / ".join(map(str, SETS[name])), max(distances[name])
    if worst == 0:
        return f"Set {name}: the counts are {wanted}, exactly."
    if worst <= TOLERANCE:
        return f"Set {name}, most probably: its counts are {wanted}, at most {plural(worst, 'image')} away."
    return f"Neither set: the nearer, {name}, has {wanted}, up to {plural(worst, 'image')} away."


if __name__ == "__main__":
    command(__doc__, main)
