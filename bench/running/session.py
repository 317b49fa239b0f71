"""What a process does with the work it was given: on a bar, with a heartbeat, until done or asked to end."""

import sys

from bench.running.forecast import Forecast
from bench.running.job import Job
from bench.running.progress import Bar
from bench.running.remarks import Remarks
from bench.running.runner import run
from bench.running.stop import Stop
from bench.running.work import Work
from bench.store.heartbeat import Heartbeat
from bench.text import plural


def carry_through(job: Job, work: Work, cost: Forecast) -> Remarks:
    """What there is to say of the maps. SystemExit: a signal asked for the end; what is left has been said."""
    remarks, left = Remarks(job.method_name), len(work)
    runs = [job.run_id(metric) for metric in job.metrics]
    heart = Heartbeat(job.results, job.config.names, runs, left, cost.seconds_a_batch)
    with Stop() as stop, heart, Bar(job.network, left, job.compute.batch_size, cost.passes, cost.filled) as bar:
        try:
            for progress in run(job, work):
                left -= progress.images
                remarks.add(progress)
                bar.batch(progress.images, len(progress.failed))
                heart.beat(left)
                if stop.asked:
                    break
        except RuntimeError:  # a signal to all processes ends those that read images, and with them the batch in hand
            if not stop.asked:
                raise
    if stop.asked:
        how = "the same command goes on from here" if left else "this cell is done"
        print(f"{stop.asked.name}: {left:,} of {plural(len(work), 'image')} left; {how}.", file=sys.stderr)
        sys.exit(stop.status)
    return remarks
