"""How far an experiment is, from rows, records and heartbeats."""

import json
import os
import subprocess
import sys
import time

import pytest
from jobs import SMALL, coarse, complete, small_job

from bench import status
from bench.choices import ROOT
from bench.config import load
from bench.errors import UserError
from bench.run import one_run
from bench.store.heartbeat import Beat, Heartbeat
from bench.store.rows import Made

SWEEP = coarse(
    *["experiment=demo", "experiment.models=[tiny]", "experiment.methods=[sm,random]", "experiment.panel=null"],
    *["data=synthetic", "data.limit=3", *SMALL[1:]],
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Of the two cells, the first is done but for an image that failed; a process has begun with the second."""
    tmp_path = tmp_path_factory.mktemp("results")
    place = f"paths.results={tmp_path}"
    one_run(load([*SWEEP, place, "experiment.cell=0"]))
    job = small_job(tmp_path, "data=synthetic", "data.limit=3", "method=sm")
    store = job.rows("unified")
    store.forget(job.ids[:1])
    store.add([{"image_id": job.ids[0], "status": "failed"}], {job.ids[0]: Made("", None)})
    other = small_job(tmp_path, "data=synthetic", "data.limit=1", "method=random")
    other.record("unified")
    complete(other)
    return tmp_path


def found(results, *more):
    return status.states(load([*SWEEP, f"paths.results={results}", *more], builders=False), results)


def test_each_cell_is_counted(results):
    sm, random = found(results)
    assert (sm.row, sm.done, sm.failed, sm.missing) == ("sm", 2, 1, 0)
    assert (random.row, random.done, random.failed, random.missing) == ("random", 1, 0, 2)
    assert sm.seconds > 0
    (_, random) = found(results, "data.ids=[synthetic-00001,synthetic-00002]", "data.limit=null")
    assert (random.done, random.missing) == (0, 2)  # the one that is there is another one
    (_, random) = found(results, "data.limit=null", "data.n=50")
    assert random.missing == 49


def test_who_is_at_work_is_told_and_a_stale_heartbeat_is_called_stale(results, capsys):
    (_, random) = found(results)
    job = small_job(results, "data=synthetic", "data.limit=3", "method=random")
    with Heartbeat(results, job.config.names, [job.run_id("unified")], 2, 1.0) as heart:
        (_, random) = found(results)
        assert [beat.pid for beat in random.at_work] == [os.getpid()]
        left = Beat(**{**vars(random.at_work[0]), "host": "elsewhere", "at": time.time() - 7200})
        (heart.folder / "elsewhere-1.json").write_text(json.dumps(vars(left)))
        status.main([*SWEEP, f"paths.results={results}"])
    (heart.folder / "elsewhere-1.json").unlink()
    said = capsys.readouterr().out
    assert f"(process {os.getpid()}) since" in said and "1 worker, as now" in said
    assert "stale: no sign of life for 2.0 h" in said
    assert (results / "report" / "status_demo.json").exists()


def test_the_time_left_is_shared_by_the_workers_and_guessed_where_nothing_is_timed():
    def state(row, model, seconds, images=10):
        return status.State(row, model, 0, 0, images, seconds, [])

    cells = [state("a", "x", 1.0), state("b", "x", 4.0), state("a", "y", 10.0), state("b", "y", None)]
    assert status.guessed(cells)[3] == pytest.approx(40.0)
    document = status.told(load(SWEEP, builders=False), cells[:3], 3, 0.0)
    assert "Time left: about 50 s on 3 workers." in document.facts
    assert any("1 cell not timed yet" in fact for fact in status.told(load(SWEEP), cells, 3, 0.0).facts)


def test_what_is_done_leaves_no_section_on_the_page(results, capsys):
    status.main([*SWEEP, f"paths.results={results}", "experiment.methods=[sm]"])
    assert "0 missing" in capsys.readouterr().out and not list((results / "report").glob("status*"))
    with pytest.raises(UserError, match="workers=none"):
        status.main([*SWEEP, "workers=none"])
    with pytest.raises(UserError, match="nowhere: there is no such folder"):
        status.main([*SWEEP, f"paths.results={results / 'nowhere'}"])
    assert not (results / "nowhere").exists()


def test_it_asks_for_no_torch(results):
    program = (
        "import sys; from bench.status import main\n"
        f"main({[*SWEEP, f'paths.results={results}']})\n"
        "assert not {'torch', 'torchvision', 'timm'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
