"""The means of a run, printed when it ends."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.running.job import Job
from bench.store.parts import CURVES, SCHEMA
from metrics.quantities import said


def summary(job: Job, unmapped: Mapping[str, str] = MappingProxyType({})) -> tuple[str, dict[str, str]]:
    """One line a metric, over the images that this process was asked for; and the failed ones, each with its reason.

    unmapped: images whose map was wanted and could not be had, and why.
    """
    lines, failed = [], dict(unmapped)
    for metric in job.metrics:
        rows = job.rows(metric).read([name for name in SCHEMA.names if name not in CURVES]).to_pandas()
        rows = rows[rows["image_id"].isin(job.ids)]
        ok = rows[rows["status"] == "ok"].drop_duplicates("image_id")  # two processes may have had the same work
        for image, error in rows.loc[~rows["image_id"].isin(ok["image_id"]), ["image_id", "error"]].itertuples(
            index=False
        ):
            failed.setdefault(image, error)
        means = {}
        for name, kind in said(job.config.cfg.metric[metric]["_target_"]).quantities.items():
            own: tuple[str, ...] = kind.minus or (name,)
            if ok[[*own]].notna().all(axis=1).any():
                means[name] = ok[own[0]].mean() - (ok[own[1]].mean() if kind.minus else 0)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        lines.append(f"{metric:20} n {len(ok):5}  {shown or 'no scores'}")
    lines += [f"Rows: {job.results / 'rows'}"] if job.metrics else []
    lines += [f"Maps: {job.maps.folder}"] if job.save_attributions else []
    return "\n".join(lines), failed
