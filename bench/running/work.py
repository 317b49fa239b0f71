"""What is left to do: the difference between what was asked for and what is done."""

from bench.running.job import Job
from bench.store.rows import Made

Work = dict[str, tuple[str, ...]]  # image id -> the metrics it lacks (none: only its map is to be saved)
SHA256 = 64  # digits of a picture's fingerprint


def missing(job: Job) -> Work:
    """Of the images that were asked for those that are not done, or have changed since.

    Failures are to be tried again, unless run.retry_failed=false.
    """
    check, again = (job.config.cfg.run[key] for key in ("check_images", "retry_failed"))
    done = {metric: job.rows(metric).done(failures=not again) for metric in job.metrics}
    lacking = {}
    for image in job.ids:
        made = {metric: rows.get(image) for metric, rows in done.items()}
        valid = {then: then is not None and unchanged(job, image, then, check) for then in set(made.values())}
        lacking[image] = tuple(metric for metric, then in made.items() if not valid[then])
    unsaved = {image for image in job.ids if job.save_attributions and not job.maps.has(image)}
    return {image: metrics for image, metrics in lacking.items() if metrics or image in unsaved}


def unchanged(job: Job, image: str, then: Made, check: bool) -> bool:
    """Whether the image is still what its row was made from. Its bytes are read only if the stamp differs, or to check."""
    same = not check and then.stamp is not None and job.source.stamp(image) == then.stamp
    picture = then.fingerprint[:SHA256] if same else job.source.fingerprint(image)
    return job.made_of(image, picture) == then.fingerprint
