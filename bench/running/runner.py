"""The loop: images to maps, maps to scores, scores to rows."""

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from bench.errors import UserError
from bench.images.source import Batch
from bench.images.stream import stream
from bench.running.attribution import again, attribute, remarks
from bench.running.compute import halved
from bench.running.examined import examine, given_numbers, guest, network_state, unmixed, versions
from bench.running.guests import failing, held, ours
from bench.running.job import Job
from bench.running.timing import Clock
from bench.running.work import Work
from bench.store.rows import Made
from bench.text import one_line
from bench.types import Images, Targets
from metrics.batch import MapBatch, Unfit

Row = dict[str, object]


@dataclass(frozen=True)
class Progress:
    """What a batch came to, when it is safe on disk."""

    images: int
    failed: dict[str, str]  # images without a map or a score, and why
    missed: dict[str, float] = field(
        default_factory=dict
    )  # images whose map misses its promised sum, by how much of it
    constant: list[str] = field(default_factory=list)  # images whose map is the same everywhere


def run(job: Job, work: Work) -> Iterator[Progress]:
    """Compute and store what is missing, a batch at a time."""
    stores = {metric: job.rows(metric) for metric in job.metrics}
    for metric, store in stores.items():
        store.forget([image for image, metrics in work.items() if metric in metrics])
    try:
        for metrics, images in groupby(sorted(work, key=work.get), key=work.get):  # type: ignore[arg-type]
            for batch, rows, progress in computed(job, list(images), metrics):  # type: ignore[arg-type]
                ids = [*batch.ids, *(failure.id for failure in batch.failures)]
                prints = {image: job.made_of(image, batch.fingerprints.get(image, "")) for image in ids}
                made = {image: Made(prints[image], batch.stamps.get(image)) for image in ids}
                for metric in metrics:
                    stores[metric].add(rows[metric], made)
                yield progress
    finally:  # also of a run that is ended on the way
        for store in stores.values():
            store.join()


def rows_of(job: Job, batch: Batch, metrics: tuple[str, ...]) -> tuple[dict[str, list[Row]], Progress]:
    """For each metric one row an image; and what there is to say of them.

    Batches are padded: every pass has the same shape, whoever is in it.
    """
    failed = {failure.id: failure.error for failure in batch.failures}
    unread = [{"image_id": image, "status": "failed", "error": error} for image, error in failed.items()]
    job.maps.drop(failed)
    if not batch.ids:
        return {metric: unread for metric in metrics}, Progress(len(failed), failed)  # type: ignore[misc]
    x, ids = job.compute.place(batch.x), batch.padded_ids
    predictions, target = predict(job, batch, x)
    before = network_state(job) if guest(job) and "method" not in job.examined else None
    maps, facts = attribute(job, x, target, ids, n=len(batch.ids))
    if before:
        examine(job, x, target, ids, maps, before)
        job.examined.add("method")
    unmapped = {image: fact["error"] for image, fact in zip(batch.ids, facts, strict=True) if fact["error"]}
    keep(job, batch.ids, maps, unmapped)
    scored = to_score(job, batch, x, target, maps)
    rows = {}
    for metric in metrics:
        unseen = theirs(job, metric) and f"metric.{metric}" not in job.examined
        before = network_state(job) if unseen else None
        with Clock(job.compute) as clock, job.compute.scoring():
            scores = score(job, scored, metric)
        if unseen:
            if network_state(job) != before:
                raise UserError(f"metric {metric} changes the network: let it leave it as it found it.")
            unmixed(metric, batch.ids[0], scores, first_alone(job, batch, x, target, maps, metric), x.device.type)
            job.examined.add(f"metric.{metric}")
        seconds = {"seconds_metric": clock.seconds / len(batch.ids)}
        rows[metric] = unread + [
            row_of(prediction | fact, {name: values[i] for name, values in scores.items()} | seconds, metric)
            for i, (prediction, fact) in enumerate(zip(predictions, facts, strict=True))
        ]
    unscored = {row["image_id"]: row["error"] for part in rows.values() for row in part if row["status"] == "failed"}
    missed, constant = remarks(maps, facts)
    progress = Progress(
        images=len(batch.ids) + len(batch.failures),
        failed=failed | unmapped | unscored,
        missed={batch.ids[i]: share for i, share in missed.items()},
        constant=[batch.ids[i] for i in constant],
    )
    return rows, progress  # type: ignore[return-value]


def computed(
    job: Job, images: list[str], metrics: tuple[str, ...]
) -> Iterator[tuple[Batch, dict[str, list[Row]], Progress]]:
    """Batch after batch, with what `rows_of` makes of it. Where the device runs out of memory, the batch is begun again at
    half the width, and so is what comes after it.
    """
    while images:
        try:
            for batch in stream(job.source, images, job.compute.batch_size, job.compute.workers_for(len(images))):
                yield batch, *rows_of(job, batch, metrics)
                images = images[len(batch.ids) + len(batch.failures) :]
        except torch.OutOfMemoryError:
            pass  # and the error is let go of before anything else: its traceback holds the tensors of the batch
        if images:
            job.compute = halved(job.compute, job.network)


def to_score(job: Job, batch: Batch, x: Images, target: Targets, maps: Images) -> MapBatch:
    """What a metric is given of a batch.  x: its images, placed; maps: of its images, the padding too."""
    masks, ignored = (None if found is None else found.to(x.device) for found in (batch.masks, batch.ignored))
    return MapBatch(
        job.network,
        x,
        target,
        maps,
        ids=batch.padded_ids,
        seed=job.seeds.draws,
        colour=job.colour_tensor,
        mask=masks,
        ignored=ignored,
        explain=again(job, target, batch.padded_ids),
    )


def keep(job: Job, ids: list[str], maps: Tensor, unmapped: dict[str, str]) -> None:
    """Maps on disk, if they are wanted or there already: what lies there is never the map of an image as it once was."""
    job.maps.drop(unmapped)
    wanted = {i: image for i, image in enumerate(ids) if job.save_attributions or job.maps.has(image)}
    arrays = {image: maps[i].float().cpu().contiguous().numpy() for i, image in wanted.items() if image not in unmapped}
    job.maps.put(arrays)


def row_of(about: Row, scores: Row, metric: str) -> Row:
    """A scored row; a failed one without scores. NaN or infinity, the network's or the metric's own, is no score."""
    if about["status"] == "ok" and not all(np.isfinite(values).all() for values in scores.values()):  # type: ignore[call-overload]
        clean = np.isfinite(about["confidence"])  # type: ignore[call-overload]
        whose = f"what {metric} says of it is" if clean else "the network's output holds"
        about = about | {"status": "failed", "error": f"{whose} NaN or infinity"}
    return about | scores if about["status"] == "ok" else about


def score(job: Job, batch: MapBatch, metric: str) -> dict[str, np.ndarray]:
    """What a metric says of each image: its numbers, [width], and its curves, [width, S]."""
    scorer, before = job.metrics[metric], versions(batch)
    guarded = theirs(job, metric)
    code = getattr(scorer, "func", scorer)
    with held(f"metric {metric}", code, "draw from batch.rng(NAME)") if guarded else nullcontext():
        try:
            found = scorer(batch)
        except Unfit as error:
            raise UserError(error.of(metric)) from error
    if guarded:
        found = given_numbers(metric, found, batch, before)
    return {name: values.cpu().double().numpy() for name, values in found.items()}


def theirs(job: Job, metric: str) -> bool:
    """Whether the metric is somebody else's."""
    return not ours(job.config.cfg.metric[metric]._target_)


def first_alone(
    job: Job, batch: Batch, x: Images, target: Targets, maps: Images, metric: str
) -> Callable[[int], dict[str, np.ndarray]]:
    """What a metric says of the first image, at n places of a batch of its own."""

    def of_first(part: Tensor, n: int) -> Tensor:
        return part[:1].repeat(n, *[1] * (part.ndim - 1))

    def said(n: int) -> dict[str, np.ndarray]:
        masks, ignored = (None if m is None else of_first(m, n) for m in (batch.masks, batch.ignored))
        one = replace(batch, ids=batch.ids[:1], x=of_first(batch.x, n), masks=masks, ignored=ignored)
        with job.compute.scoring():
            return score(job, to_score(job, one, *(of_first(part, n) for part in (x, target, maps))), metric)

    return said


def predict(job: Job, batch: Batch, x: Images) -> tuple[list[Row], Targets]:
    """What the network says of the clean images, and the class that is explained and scored, [width]."""
    images = one_line(", ".join(batch.ids), 100)
    with failing(f"{job.network.name} fails on {images}", job.network.net), torch.inference_mode():
        probabilities = job.network(x).softmax(dim=1)
    confidence, prediction = probabilities.max(dim=1)
    labels = batch.labels + batch.labels[-1:] * (len(x) - len(batch.labels))
    target = prediction.clone()
    if job.config.cfg.run.target == "label":
        for image, label in zip(batch.ids, batch.labels, strict=True):
            if label is None or not 0 <= label < probabilities.shape[1]:
                raise UserError(
                    f"run.target=label, but image {image} has the label {label} and the network {probabilities.shape[1]} "
                    "classes; give labels, or use run.target=prediction."
                )
        target = torch.tensor(labels, device=x.device)
    names = ("image_id", "label", "prediction", "target", "confidence")
    facts = zip(batch.ids, batch.labels, prediction.tolist(), target.tolist(), confidence.tolist(), strict=False)
    return [dict(zip(names, fact, strict=True)) for fact in facts], target


def try_engine(job: Job, work: Work) -> None:
    """Open the run's engine, if it has one, on the first images: the record says what is found.  UserError: it is wrong."""
    if job.compute.engine:
        batches = stream(job.source, sorted(work), job.compute.batch_size, 0)
        if batch := next((batch for batch in batches if batch.ids), None):
            with torch.inference_mode():
                job.network(job.compute.place(batch.x))
            if found := job.compute.engine.compared:
                print(f"{found.engine}: {found}.", file=sys.stderr)
