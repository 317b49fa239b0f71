"""On real engines: whoever computes, and whatever is killed on the way, rows equal those of one process, bit for bit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.choices import ROOT

pytestmark = pytest.mark.cluster
TABLE = [
    "experiment=la_table1",
    "experiment.models=[tiny]",
    "experiment.methods=[sm,ig,la]",
    "data=synthetic",
    "data.limit=24",
    "model.size=32",
    "compute.batch_size=4",
]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
SECONDS = 600
SLURM = ("slurmctld", "slurmd", "munged", "sbatch")


def started(results, *more, **environment):
    command = [sys.executable, "-m", "bench.run", *TABLE, f"paths.results={results}", *more]
    return subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ended(run):
    """Its exit status and all that it said."""
    said, _ = run.communicate(timeout=SECONDS)
    return run.returncode, said


def until(there, results):
    """Waits until it is so; what holds is what it gives."""
    for _ in range(10 * SECONDS):
        if found := there(results):
            return found
        time.sleep(0.1)
    raise TimeoutError


def rows(results):
    return list(Path(results).rglob("[!.]*.parquet"))


def children(process):
    return [
        int(pid) for pid in subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True).stdout.split()
    ]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    results = tmp_path_factory.mktemp("one")
    status, said = ended(started(results))
    assert status == 0, said
    return results


def assert_same(one, other):
    script = [sys.executable, "scripts/same_rows.py", str(one), str(other)]
    done = subprocess.run(script, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0 and "72 rows, equal" in done.stdout, done.stdout + done.stderr


def test_cores_and_a_process_that_is_killed(one, tmp_path):
    run = started(tmp_path, "hydra/launcher=cpu_cores", "hydra.launcher.cores=1", "hydra.launcher.shards=3")
    until(rows, tmp_path)
    os.kill(children(run.pid)[0], signal.SIGKILL)
    status, said = ended(run)
    assert status == 0 and "taken up again" in said, said
    assert_same(one, tmp_path)


def test_processes_end_when_what_started_them_is_killed(tmp_path):
    run = started(tmp_path, "hydra/launcher=cpu_cores", "hydra.launcher.cores=1", "data.limit=2000")
    until(rows, tmp_path)
    mine = children(run.pid)
    run.kill()
    run.wait()
    assert mine and until(lambda _: not any(Path(f"/proc/{pid}").exists() for pid in mine), tmp_path)
    run.stdout.close()


def test_two_gpus(one, tmp_path):
    gpus = {"CUDA_VISIBLE_DEVICES": "0,1"}
    status, said = ended(started(tmp_path / "none", "hydra/launcher=local_gpus", **gpus))
    assert status == 1 and "this machine shows 0 GPUs to torch" in said, said  # rather than a CPU unsaid
    status, said = ended(started(tmp_path / "cpu", "hydra/launcher=local_gpus", "compute.device=cpu", **gpus))
    assert status == 0, said
    assert_same(one, tmp_path / "cpu")


def test_a_ray_cluster_one_of_whose_two_nodes_is_killed(one, tmp_path):
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    small = {"object_store_memory": 100_000_000}
    cluster = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False} | small
    )
    try:
        nodes = [cluster.add_node(num_cpus=1, num_gpus=1, **small) for _ in range(2)]
        cluster.wait_for_nodes()
        where = f"hydra.launcher.address={cluster.address}"
        run = started(tmp_path, "hydra/launcher=ray_gpu", where, "hydra.launcher.shards=3", "compute.device=cpu")
        until(rows, tmp_path)
        cluster.remove_node(nodes[0], allow_graceful=False)
        status, said = ended(run)
        assert status == 0 and "taken up again" in said, said
    finally:
        cluster.shutdown()
    assert_same(one, tmp_path)


@pytest.mark.skipif(not all(map(shutil.which, SLURM)), reason="apt-get install slurmctld slurmd slurm-client munge")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="starting a Slurm takes root")
def test_a_slurm_whose_jobs_are_preempted(one, tmp_path):
    script, place = ROOT / "scripts" / "one_node_slurm.sh", tmp_path / "slurm"
    subprocess.run([script, "start", place], check=True, timeout=120)
    try:
        there = {"SLURM_CONF": str(place / "slurm.conf")}
        own = ["hydra.launcher.cpus=1", "hydra.launcher.partition=low", "hydra.launcher.shards=3", "compute.device=cpu"]
        run = started(tmp_path / "results", "hydra/launcher=slurm_gpu", *own, **there)
        until(rows, tmp_path / "results")
        first = ["srun", "--partition=high", "--exclusive", "--time=1", "true"]
        subprocess.run(first, env=ENVIRONMENT | there, check=True, timeout=120)
        status, said = ended(run)
        assert status == 0, said
        jobs = "".join(file.read_text() for file in (tmp_path / "results").rglob("jobs/*.out"))
        assert "DUE TO PREEMPTION" in jobs
    finally:
        subprocess.run([script, "stop", place], check=True)
    assert_same(one, tmp_path / "results")
