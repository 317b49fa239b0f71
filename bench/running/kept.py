"""Maps that a method has made already, for its run with post-processing: taken from the store, not made again."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from omegaconf import DictConfig
from torch import Tensor

from bench.running.job import Job
from bench.running.post import Processed, processed
from bench.running.work import unchanged
from bench.store.maps import Maps
from bench.store.rows import Made, Rows


class Kept:
    """The maps of the same run without post-processing, and from which images they were made."""

    def __init__(self, job: Job):
        self.job = job
        self.maps = Maps(job.results, _plain(job, None).id)
        cells = {metric: {**job.config.names, "metric": metric} for metric in job.metrics}
        done = [Rows(job.results, cell, _plain(job, metric).id).done() for metric, cell in cells.items()]
        self.made: dict[str, Made] = {image: made for of_metric in done for image, made in of_metric.items()}

    def of(self, ids: Sequence[str]) -> Tensor | None:
        """[B, 3, H, W]; None unless all lie there, made from the images as they are now."""
        maps = [self.maps.get(image) if self._valid(image) else None for image in ids]
        if any(found is None for found in maps):
            return None
        return torch.stack([torch.from_numpy(found) for found in maps])

    def lies(self, image: str) -> bool:
        """Whether there is one, going by its name."""
        return image in self.made and self.maps.has(image)

    def _valid(self, image: str) -> bool:
        check = self.job.config.cfg.run.check_images
        return image in self.made and unchanged(self.job, image, self.made[image], check)


def kept_maps(job: Job, ids: Sequence[str]) -> Tensor | None:
    """What becomes of the kept maps of these images, on the job's device. None: there are none, or they are kept less
    exactly than this run computes.
    """
    if not isinstance(job.method, Processed) or not kept_exactly(job.config.cfg):
        return None
    job.kept = job.kept or Kept(job)
    maps = job.kept.of(ids)
    return None if maps is None else processed(job.compute.place(maps), job.method.post)


def kept_exactly(cfg: DictConfig) -> bool:
    """Whether maps are kept as exactly as a run of this configuration computes."""
    return cfg.compute.precision != "fp64"


def all_kept(job: Job, images: Iterable[str]) -> bool:
    """Whether the maps of all these images lie there, so that none has to be made; going by their names."""
    images = list(images)
    if not images or not isinstance(job.method, Processed) or not kept_exactly(job.config.cfg):
        return False
    return all(map(Kept(job).lies, images))


def _plain(job: Job, metric: str | None):
    identity = job.identity(metric)
    return replace(identity, method={key: value for key, value in identity.method.items() if key != "post"})
