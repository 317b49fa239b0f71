"""The loop: images to maps, maps to scores, scores to rows."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import torch

from bench.errors import UserError
from bench.images.source import Batch, stream
from bench.running.attribution import explain, save, unsaved
from bench.running.job import Job
from bench.running.timing import Clock
from bench.types import Images, Targets
from metrics.batch import MapBatch, Unfit

Work = dict[str, tuple[str, ...]]  # image id -> the metrics it lacks (none: only its map is to be saved)
Row = dict[str, object]


def missing(job: Job) -> Work:
    """What is not there yet: the difference between what was asked for and what is done."""
    done = {metric: job.rows(metric).done() for metric in job.metrics}
    lacking = {}
    for image in job.ids:
        made_of = {metric: there.get(image) for metric, there in done.items()}
        now = (
            job.fingerprint(image) if any(made_of.values()) else None
        )  # reads the image: once, and only if it has rows
        lacking[image] = tuple(metric for metric, then in made_of.items() if not then or then != now)
    return {image: metrics for image, metrics in lacking.items() if metrics or unsaved(job, image)}


def run(job: Job, work: Work) -> Iterator[int]:
    """Compute and store what is missing. Yields the number of images after each batch, when it is safe on disk."""
    stores = {metric: job.rows(metric) for metric in job.metrics}
    job.unmapped.clear()
    for metric, store in stores.items():
        store.forget([image for image, metrics in work.items() if metric in metrics])
    for metrics, images in groupby(sorted(work, key=work.get), key=work.get):
        for batch in stream(job.source, list(images), job.compute.batch_size, job.compute.workers_for(len(work))):
            rows = judge(job, batch, metrics)
            there = [*batch.ids, *(failure.id for failure in batch.failures)]
            fingerprints = {image: job.fingerprint(image) for image in there}
            for metric in metrics:
                stores[metric].add(rows[metric], fingerprints)
            yield len(there)


def judge(job: Job, batch: Batch, metrics: tuple[str, ...]) -> dict[str, list[Row]]:
    """One row per image for each metric. Batches are padded: every pass has the same shape, whoever is in it."""
    unread = [{"image_id": failure.id, "status": "failed", "error": failure.error} for failure in batch.failures]
    job.unmapped |= {failure.id: failure.error for failure in batch.failures}
    save(job, dict.fromkeys(failure.id for failure in batch.failures))
    if not batch.ids:
        return {metric: unread for metric in metrics}
    x = job.compute.place(batch.x)
    ids = batch.places
    seen, target = look(job, batch, x)
    maps, facts = explain(job, x, target, ids, n=len(batch.ids))
    job.unmapped |= {image: fact["error"] for image, fact in zip(batch.ids, facts, strict=True) if fact["error"]}
    save(job, {image: maps[i] if facts[i]["status"] == "ok" else None for i, image in enumerate(batch.ids)})
    mask = batch.masks if batch.masks is None else batch.masks.to(x.device)
    scored = MapBatch(job.network, x, target, maps, ids=ids, seed=job.seed, colour=job.colour_tensor, mask=mask)

    rows = {}
    for metric in metrics:
        with Clock(job.compute) as clock, job.compute.scoring():
            scores = measure(job, scored, metric)
        seconds = {"seconds_metric": clock.seconds / len(batch.ids)}
        rows[metric] = unread + [
            row_of(sight | fact, {name: values[i] for name, values in scores.items()} | seconds)
            for i, (sight, fact) in enumerate(zip(seen, facts, strict=True))
        ]
    return rows


def row_of(about: Row, scores: Row) -> Row:
    """A scored row; a failed one without scores. What the network answers with NaN or infinity is no score."""
    if about["status"] == "ok" and not all(np.isfinite(values).all() for values in scores.values()):
        about = about | {"status": "failed", "error": "the network's output holds NaN or infinity"}
    return about | scores if about["status"] == "ok" else about


def measure(job: Job, batch: MapBatch, metric: str) -> dict[str, np.ndarray]:
    """What a metric says of each image: its numbers, [width], and its curves, [width, S]."""
    try:
        return {name: values.double().cpu().numpy() for name, values in job.metrics[metric](batch).items()}
    except Unfit as error:
        raise UserError(error.of(metric)) from error


def look(job: Job, batch: Batch, x: Images) -> tuple[list[Row], Targets]:
    """What the network sees in the clean images, and the class that is explained and scored, [width]."""
    with torch.inference_mode():
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
