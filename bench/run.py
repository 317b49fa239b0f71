"""python -m bench.run method=la model=resnet50: attribute, score, store. `--help` lists all choices, -m sweeps."""

import sys

import hydra
from omegaconf import DictConfig

from bench.choices import CONF
from bench.cli import cell
from bench.config import Config, launch
from bench.errors import Refused, UserError
from bench.experiments.sweep import of_cell
from bench.running.forecast import forecast
from bench.running.job import Job, open_job
from bench.running.remarks import Remarks, failures
from bench.running.runner import try_engine
from bench.running.session import carry_through
from bench.running.summary import summary
from bench.running.work import Work, missing
from bench.text import plural


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(cfg: DictConfig) -> None:
    cell(cfg, one_run)


def one_run(config: Config) -> None:
    """UserError: an image failed. A method that refuses the network is left out where the experiment says so."""
    job = open_job(of_cell(config))
    try:
        failed = carry_out(job)
    except Refused as error:
        if not (config.cfg.get("experiment") or {}).get("pass_over"):
            raise
        print(f"Left out: {job.method_name} on {job.config.names['model']}. {error}")
        return
    if failed:
        then = (
            "The next run tries again."
            if config.cfg.run.retry_failed
            else "Failures are left alone: run.retry_failed=false."
        )
        raise UserError(f"{failures(failed)} {then}")


def carry_out(job: Job) -> dict[str, str]:
    """Compute what is missing, with a forecast before and the means after. Returns the failed images and why."""
    text, remarks = computed(job)
    print(text, *remarks.lines(), sep="\n")
    return remarks.failed


def computed(job: Job) -> tuple[str, Remarks]:
    """Compute what is missing, with a forecast before. Returns the means in words, and what is odd of the run."""
    work, remarks = missing(job), Remarks(job.method_name)
    names = job.config.names
    wanted = ", ".join(job.metrics) or "maps alone"
    layer = f" (layer {job.layer})" if job.layer else ""
    print(f"{names['method']}{layer} on {names['model']}, {names['data']}: {wanted}", file=sys.stderr)
    there = len(job.ids) - len(work)
    if not work:
        print(f"Nothing to compute. There already: {plural(there, 'image')}.", file=sys.stderr)
        record_all(job)
    else:
        remarks = work_off(job, work, f"There already: {plural(there, 'image')}. " if there else "")
    text, remarks.failed = summary(job, remarks.failed)
    return text, remarks


def record_all(job: Job) -> None:
    """A record for every metric that has none that can be read: without one a report knows nothing of the rows."""
    for metric in job.metrics:
        if not job.recorded(metric):
            job.record(metric)


def work_off(job: Job, work: Work, before: str = "") -> Remarks:
    """Work that there is, with a forecast and records before.  before: what is said of the rows that are there."""
    lacking = [metric for metric in job.metrics if any(metric in metrics for metrics in work.values())]
    try_engine(job, work)
    cost = forecast(job, lacking, work)
    print(f"{before}To do: {cost.line(len(work), job.compute.batch_size)}", file=sys.stderr)
    for metric in lacking if job.metrics else (None,):  # type: ignore[assignment]
        job.record(metric)
    return carry_through(job, work, cost)


if __name__ == "__main__":
    launch(main)
