"""A run that is asked to end ends after its batch, says what is left, and is continued by the same command."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from jobs import SMALL, complete, rows_of, small_job

from bench.choices import ROOT
from bench.run import carry_out
from bench.store.heartbeat import Beat, Heartbeat, beats

FAST = ["method=random", "compute.batch_size=2", "metric=[unified]", "metric.unified.step=768", "data.limit=6"]


def signalled(job, number, batch=2):
    """The job, which gets a signal in the middle of its method's n-th call."""
    method, calls = job.method, []

    def struck(*args):
        calls.append(1)
        if len(calls) == batch + 1:  # the forecast asks first
            os.kill(os.getpid(), number)
        return method(*args)

    job.method = struck
    return job


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_ends_after_the_batch_says_what_is_left_and_is_continued(tmp_path, capsys, number, status):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended:
        carry_out(signalled(small_job(tmp_path, *FAST), number))
    assert ended.value.code == status
    assert f"{number.name}: 2 of 6 images left; the same command goes on" in capsys.readouterr().err
    assert len(rows_of(tmp_path)) == 4 and not beats(tmp_path)
    assert signal.getsignal(number) is before
    carry_out(small_job(tmp_path, *FAST))
    complete(small_job(tmp_path / "whole", *FAST))
    pd.testing.assert_frame_equal(rows_of(tmp_path), rows_of(tmp_path / "whole"))


def test_the_second_signal_ends_at_once():
    program = (
        "import os, signal; from bench.running.stop import Stop\n"
        "with Stop() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    assert stop.asked and stop.status == 143\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('still here')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, "")


def test_a_signal_to_all_processes_ends_a_run_that_reads_ahead_without_a_traceback(tmp_path):
    """As a scheduler sends it: to those that read images, too."""
    images = ["data.n=4000", "compute.batch_size=1", "compute.workers=1", f"paths.results={tmp_path}"]
    command = [sys.executable, "-m", "bench.run", *SMALL[3:-1], "method=sm", "metric.unified.step=768", *images]
    run = subprocess.Popen(
        [*command, "model.resize=36"], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.rglob("*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGTERM)
        _, said = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 143, said
    assert "Traceback" not in said and "SIGTERM: " in said and "left; the same command" in said


def test_failures_are_left_alone_if_that_is_asked(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.png", "b.png"):
        (pictures / name).write_bytes(b"no picture")
    choice = [*FAST[:-1], "data=folder", f"data.root={pictures}"]
    assert complete(small_job(tmp_path / "r", *choice)) == 2
    assert complete(small_job(tmp_path / "r", *choice)) == 2
    assert complete(small_job(tmp_path / "r", *choice, "run.retry_failed=false")) == 0
    (pictures / "b.png").write_bytes(b"another file")
    assert complete(small_job(tmp_path / "r", *choice, "run.retry_failed=false")) == 1


def test_a_heartbeat_is_there_while_a_run_goes_on_and_says_how_far_it_is(tmp_path):
    job, seen = small_job(tmp_path, *FAST), []
    method = job.method
    job.method = lambda *args: seen.append(beats(tmp_path)) or method(*args)
    carry_out(job)
    during = [found[0] for found in seen if found]
    assert [beat.left for beat in during] == [6, 4, 2]
    assert {beat.pid for beat in during} == {os.getpid()} and during[0].runs == [job.run_id("unified")]
    assert during[-1].rate > 0 and during[-1].stale(time.time()) is None
    assert beats(tmp_path) == []


def test_a_heartbeat_is_stale_by_age_by_a_clock_that_jumped_and_by_a_process_that_is_gone(tmp_path):
    here = Heartbeat(tmp_path, {"model": "tiny"}, ["r"], 10, batch=100.0)
    with here:
        (beat,) = beats(tmp_path)
    assert beat.stale(beat.at + 350) is None
    assert beat.stale(beat.at + 3600) == "no sign of life for 60 min"
    assert beat.stale(beat.at - 3600) == "its clock is 60 min ahead"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = Beat(**{**vars(beat), "pid": gone.pid})
    assert left.stale(beat.at) == "its process is gone"
    assert Beat(**{**vars(left), "host": "elsewhere"}).stale(beat.at) is None
    (tmp_path / "running").mkdir()
    (tmp_path / "running" / f"{left.host}-{left.pid}.json").write_text(json.dumps(vars(left)))
    (tmp_path / "running" / "broken.json").write_text('{"host": 1')
    with here:
        assert [found.pid for found in beats(tmp_path)] == [os.getpid()]
