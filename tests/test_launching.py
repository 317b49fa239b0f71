"""Sweeps in processes of their own: how they are cut, who runs them, what becomes of what is lost; rows stay as they are."""

import os
import stat
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from jobs import SMALL, complete, rows_of, small_job
from omegaconf import OmegaConf

from bench.choices import CONF, ROOT
from bench.config import load
from bench.errors import UserError
from bench.launching import launch, on_ray, on_slurm, processes
from bench.launching.part import Cut, End, Part, cut, lasts
from bench.launching.queue import pulled
from bench.ranges import checked, kinds
from bench.running.forecast import Cost

PRESETS = sorted((CONF / "hydra" / "launcher").glob("*.yaml"))


def cost(seconds, images=100, passes=0):
    return Cost(images, passes, 0, 4, seconds)


# Cutting


def test_no_part_is_dearer_than_the_dearest_jobs_part_and_the_dearest_go_first():
    costs = [cost(10.0), cost(100.0), cost(0.0), cost(55.0)]
    parts = cut(costs, 4)
    n = {part.job: part.n for part in parts}
    assert n == {0: 1, 1: 4, 2: 1, 3: 3}  # of 25 seconds at most
    assert sorted((part.job, part.i) for part in parts) == [(job, i) for job in sorted(n) for i in range(n[job])]
    each = [costs[part.job].seconds / part.n for part in parts]
    assert each == sorted(each, reverse=True) and max(each) == 25
    assert cut(costs, 1) == [Cut(k, 0, 1) for k in (1, 3, 0, 2)]


def test_a_part_is_a_batch_at_least_and_what_cannot_be_timed_is_weighed_by_passes():
    assert len(cut([cost(100.0, images=9)], 8)) == 3
    assert len(cut([cost(0.0, images=0)], 8)) == 1
    parts = cut([cost(None, passes=8), cost(5.0, passes=40)], 4)
    assert [(part.job, part.n) for part in parts] == [(1, 4)] * 4 + [(0, 1)]


def test_how_long_it_takes_is_until_the_last_worker_is_free():
    assert lasts([4, 3, 2, 1], 2) == 5 and lasts([4, 3, 2, 1], 1) == 10 and lasts([4, 3], 5) == 4


# Taking up again


class Workers:
    """Two at once; a part ends as its list says, next time as the following entry."""

    def __init__(self, ends):
        self.ends, self.running, self.order = ends, [], []

    def free(self):
        return len(self.running) < 2

    def start(self, part):
        self.running.append(part)
        self.order.append(part.name)

    def next_end(self):
        part = self.running.pop(0)
        return part, End(self.ends[part.name].pop(0))


def parts(*names, command=("true",), folder="/", log=None):
    return [Part(name, command, folder, log) for name in names]


def test_what_is_lost_is_taken_up_after_the_others_so_often_and_what_fails_is_not():
    workers = Workers({"a": [None, 0], "b": [1], "c": [None, None, None], "d": [0]})
    ends = {part.name: end.code for part, end in pulled(parts(*"abcd"), workers, retries=2)}
    assert ends == {"a": 0, "b": 1, "c": None, "d": 0}
    assert workers.order == ["a", "b", "c", "d", "a", "c", "c"]


# Processes


def scripts(tmp_path, *texts):
    return [
        Part(f"part {k}", (sys.executable, "-S", "-c", text), str(tmp_path), tmp_path / "logs" / f"{k}.log")
        for k, text in enumerate(texts)
    ]


ALONE = """
import os, time
gpu = "gpu" + os.environ["CUDA_VISIBLE_DEVICES"]
os.mkdir(gpu)  # fails if somebody else is on it
time.sleep(0.15)
os.rmdir(gpu)
print("on", gpu)
"""


def test_every_process_has_a_gpu_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-8f2")
    places = processes.gpu_places({"gpus": None})
    monkeypatch.setattr(processes, "WAIT", 0.01)
    ends = list(processes.run(scripts(tmp_path, *[ALONE] * 6), places, 0))
    assert [end.code for _, end in ends] == [0] * 6
    said = [part.log.read_text() for part, _ in ends]
    assert {*said} == {"on gpu3\n", "on gpuGPU-8f2\n"}


@pytest.mark.parametrize(("visible", "gpus", "there"), [("", None, 4), (None, None, 0)])
def test_no_gpu_is_said(visible, gpus, there, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("torch.cuda.device_count", lambda: there)
    with pytest.raises(UserError, match="cpu_cores"):
        processes.gpu_places({"gpus": gpus})


def test_cores_are_shared_out_and_threads_are_as_many(monkeypatch):
    monkeypatch.setattr(processes, "cores_here", lambda: 7)
    places = processes.core_places({"cores": 2, "processes": None})
    assert [place["OMP_NUM_THREADS"] for place in places] == ["2"] * 3
    assert len(processes.core_places({"cores": 16, "processes": None})) == 1
    assert len(processes.core_places({"cores": 2, "processes": 5})) == 5
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert processes.gpu_places({"gpus": [0, 1]})[1] == {
        "CUDA_VISIBLE_DEVICES": "1",
        **dict.fromkeys(processes.THREADS, "3"),
    }


def test_a_process_that_is_killed_is_taken_up_again_and_says_on_in_its_log(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(processes, "WAIT", 0.01)
    once = "import os; print('here', flush=True); os.path.exists('x') or (os.mkdir('x'), os.kill(os.getpid(), 9))"
    told = "import os, signal; os._exit(143) if not os.path.exists('y') and not os.mkdir('y') else print('there')"
    ends = {p.name: e for p, e in processes.run(scripts(tmp_path, once, "raise SystemExit(1)", told), [{}], 1)}
    assert [ends[f"part {k}"].code for k in range(3)] == [0, 1, 0]
    assert (tmp_path / "logs" / "0.log").read_text() == "here\nhere\n"
    assert "part 0: killed by signal 9; it is taken up again" in capsys.readouterr().err


def test_processes_end_with_what_started_them(tmp_path):
    ends = processes.run(scripts(tmp_path, "print(1)", "import time; time.sleep(60)"), [{}, {}], 0)
    next(ends)
    with pytest.raises(RuntimeError):
        ends.throw(RuntimeError)  # and does not wait for a minute


# Presets


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: file.stem)
def test_a_preset_has_the_keys_of_its_engine_each_in_its_range(file):
    preset = OmegaConf.to_container(OmegaConf.load(file))
    assert preset.pop("_target_") == "hydra_plugins.heatproof.launcher.Parts"
    settings = launch.ENGINES[preset.pop("engine")].settings
    assert preset.keys() == kinds(settings).keys()
    assert checked(settings, preset, "hydra.launcher") == preset
    assert load([f"hydra/launcher={file.stem}"]).cfg.hydra.launcher.engine == file.stem


@pytest.mark.parametrize(
    ("engine", "settings", "said"),
    [
        ("cpu_cores", {"shards": 0}, "hydra.launcher.shards=0"),
        ("cpu_cores", {"cores": "many"}, "hydra.launcher.cores=many"),
        ("slurm_gpu", {"minutes": 0}, "hydra.launcher.minutes=0"),
        ("ray_gpu", {"gpus": -1}, "hydra.launcher.gpus=-1"),
        ("ray_gpus", {}, "Did you mean ray_gpu"),
    ],
)
def test_what_does_not_fit_is_refused(engine, settings, said, tmp_path):
    file = CONF / "hydra" / "launcher" / f"{engine}.yaml"
    preset = OmegaConf.to_container(OmegaConf.load(file)) if file.exists() else {}
    config = OmegaConf.create({"compute": {"device": "auto"}, "paths": {"results": str(tmp_path)}})
    with pytest.raises(UserError, match=said):
        launch._launch(engine, preset | settings, config, ["python"], [["method=sm"]])


@pytest.mark.parametrize("cores", [1, 3])
def test_a_sweep_is_timed_on_as_many_cores_as_each_part_has(cores, tmp_path, monkeypatch):
    seen, before = [], torch.get_num_threads()
    monkeypatch.setattr(launch, "outlook", lambda *_: (seen.append(torch.get_num_threads()), ([cost(1)], ""))[1])
    monkeypatch.setattr(processes, "run", lambda *_: iter(()))
    preset = OmegaConf.to_container(OmegaConf.load(CONF / "hydra" / "launcher" / "cpu_cores.yaml"))
    config = OmegaConf.create({"compute": {"device": "auto"}, "paths": {"results": str(tmp_path)}})
    jobs = [[*SMALL, "method=sm", "metric=[unified]"]]
    launch._launch("cpu_cores", preset | {"cores": cores}, config, ["-m", launch.SHARED], jobs)
    assert seen == [cores]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("asked", "given", "asks"),
    [
        ("auto", "cuda", ["compute.device=cuda"]),  # which is refused where there is none: never a CPU unsaid
        ("auto", "cpu", ["compute.device=cpu"]),
        ("cpu", "cuda", []),
        ("cuda", "cuda", []),
        ("cuda", "cpu", None),
        ("cuda:1", "cuda", None),
    ],
)
def test_auto_is_what_the_engine_gives(asked, given, asks):
    if asks is None:
        with pytest.raises(UserError, match="says itself"):
            launch._device(asked, given, "ray_gpu")
    else:
        assert launch._device(asked, given, "ray_gpu") == asks


# Ray, as far as it goes without


class FakeRay:
    """A cluster whose tasks end as `ends` says: an exit status, or an error to raise."""

    class exceptions:
        class RayError(Exception):
            pass

        class RayTaskError(RayError):
            pass

    def __init__(self, *ends, gpus=0.0):
        self.ends, self.gpus, self.asked = list(ends), gpus, {}

    def is_initialized(self):
        return False

    def init(self, **settings):
        if settings["address"] == "nowhere:1":
            raise ConnectionError("no answer\nmore")

    def shutdown(self):
        pass

    def cluster_resources(self):
        return {"CPU": 4.0, "GPU": self.gpus} if self.gpus else {"CPU": 4.0}

    def remote(self, function):
        def options(**asked):
            self.asked = asked
            return SimpleNamespace(remote=lambda *_: object())

        return SimpleNamespace(options=options)

    def wait(self, references, num_returns):
        return references[:1], references[1:]

    def get(self, reference):
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


RAY = {"address": None, "gpus": 1.0, "cpus": 1.0, "retries": 1, "shards": 1}


def on_fake_ray(monkeypatch, ray, n=1, **settings):
    monkeypatch.setattr(on_ray, "_ray", lambda: ray)
    return [end.code for _, end in on_ray.run(parts(*"abc"[:n]), RAY | settings)]


def test_a_part_whose_node_is_gone_goes_to_another_and_a_broken_task_does_not(monkeypatch, capsys):
    gone, broken = FakeRay.exceptions.RayError("gone"), FakeRay.exceptions.RayTaskError("trace\nno such folder")
    ray = FakeRay(gone, 0, broken, 0, gpus=2.0)
    assert on_fake_ray(monkeypatch, ray, n=3) == [0, 1, 0]
    assert ray.asked == {"num_gpus": 1.0, "num_cpus": 1.0, "max_retries": 0}
    assert "warning" not in capsys.readouterr().err


def test_a_cluster_without_gpus_is_said_and_one_that_is_not_there_too(monkeypatch, capsys):
    on_fake_ray(monkeypatch, FakeRay(0))
    assert "hydra.launcher.gpus=0 computes on CPUs" in capsys.readouterr().err
    on_fake_ray(monkeypatch, FakeRay(0), gpus=0.0)
    assert "warning" not in capsys.readouterr().err
    with pytest.raises(UserError, match=r"nowhere:1: no Ray cluster answers there \(no answer\)"):
        on_fake_ray(monkeypatch, FakeRay(), address="nowhere:1")


def test_without_ray_the_line_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"heatproof\[ray\]"):
        on_ray._ray()


# Slurm, with programs of its names

SBATCH = """#!/bin/bash
# runs the array's jobs at once; job 2 is cancelled before it starts, job 3 is told that its time is nearly over
[ "$FAKE_REFUSES" ] && { echo "sbatch: error: no such partition" >&2; exit 1; }
for word in "$@"; do
  case $word in --array=*) last=${word#--array=0-}; last=${last%%%*} ;; --*) echo "$word" >>"$FAKE/asked" ;; esac
done
script=${@: -3:1} folder=${@: -2:1} requeues=${@: -1:1}
for k in $(seq 0 "$last"); do
  [ $k = 2 ] && continue
  (
    echo "$k" >>"$FAKE/queued"
    SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$k SLURM_CPUS_PER_TASK=3 setsid bash "$script" "$folder" "$requeues" &
    if [ $k = 3 ]; then
      until [ -s "$FAKE/log3" ]; do sleep 0.02; done
      kill -USR1 $!
      until [ -s "$FAKE/requeued" ]; do sleep 0.02; done
      kill -TERM -- -$!
    fi
    wait $!
    sed -i "/^$k$/d" "$FAKE/queued"
  ) >/dev/null 2>&1 &
done
echo "7;cluster"
"""
SCONTROL = '#!/bin/bash\necho "$@" >>"$FAKE/requeued"\n'
SLURM = {
    "shards": 1, "minutes": 10, "requeues": 1, "at_once": 2, "gpus": 1, "cpus": 3, "memory": None, "partition": "low",
    "options": ["account=me"],
}  # fmt: skip


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    programs = {"sbatch": SBATCH, "squeue": '#!/bin/bash\ncat "$FAKE/queued"\n', "scontrol": SCONTROL}
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        file = tmp_path / "bin" / name
        file.write_text(text)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(on_slurm, "LOOK", 0.02)
    monkeypatch.setattr(on_slurm, "ASK", 0.1)
    return tmp_path


def test_slurm_runs_an_array_and_says_how_each_job_ended(slurm, capsys):
    texts = ["import os; print(os.environ['OMP_NUM_THREADS'])", "raise SystemExit(1)", "print(2)"]
    ends = {part.name: end for part, end in on_slurm.run(scripts(slurm, *texts), SLURM, slurm / "logs")}
    assert [ends[f"part {k}"].code for k in range(3)] == [0, 1, None]
    assert "job 7_2 is gone" in ends["part 2"].why
    assert (slurm / "logs" / "0.log").read_text() == "3\n"
    asked = (slurm / "asked").read_text().split("\n")
    assert {"--requeue", "--gres=gpu:1", "--time=10", "--partition=low", "--account=me", "--signal=B:USR1@60"} <= {
        *asked
    }
    assert not any("mem" in word for word in asked)
    assert "scancel 7" in capsys.readouterr().err


def test_a_job_at_its_time_limit_goes_back_to_the_queue(slurm):
    waits = f"import time; print('started', file=open({str(slurm / 'log3')!r}, 'w'), flush=True); time.sleep(60)"
    texts = ["print(0)", "print(1)", "print(2)", waits]
    ends = {part.name: end.code for part, end in on_slurm.run(scripts(slurm, *texts), SLURM, slurm / "logs")}
    assert (slurm / "requeued").read_text() == "requeue 7_3\n"
    assert ends["part 3"] is None  # nobody here takes it from the queue again


def test_what_slurm_does_not_take_is_said(slurm, monkeypatch):
    monkeypatch.setenv("FAKE_REFUSES", "1")
    with pytest.raises(UserError, match="no such partition"):
        list(on_slurm.run(scripts(slurm, "print(0)"), SLURM, slurm / "logs"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="no sbatch on this machine"):
        list(on_slurm.run(scripts(slurm, "print(0)"), SLURM, slurm / "more"))


# The whole way


def test_two_processes_leave_the_rows_of_one(tmp_path):
    fast = ["method=sm,random", "compute.batch_size=4", "metric.unified.step=384", "data.limit=8"]
    for method in ("sm", "random"):
        complete(small_job(tmp_path / "one", f"method={method}", *fast[1:]))
    engine = ["hydra/launcher=cpu_cores", "hydra.launcher.cores=1", "hydra.launcher.processes=2"]
    command = [
        sys.executable,
        "-m",
        "heatproof",
        "run",
        "-m",
        *SMALL,
        *fast,
        *engine,
        f"paths.results={tmp_path / 'two'}",
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "2 of 2: " in done.stderr and "2 parts at once" in done.stderr
    pd.testing.assert_frame_equal(rows_of(tmp_path / "one"), rows_of(tmp_path / "two"), check_exact=True)


def test_scripts_slurm_array_is_a_shard_a_job(tmp_path):
    """`python`, of this name, says what it was asked."""
    (tmp_path / "python").write_text('#!/bin/bash\necho "$@"; exit 3\n')
    (tmp_path / "python").chmod(0o755)
    variables = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_CPUS_PER_TASK": "5"}
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"} | variables
    script = ["bash", str(ROOT / "scripts" / "slurm_array.sh"), "experiment=la_table1", "data.root=/a b"]
    done = subprocess.run(script, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.stdout == "-m bench.run experiment=la_table1 data.root=/a b run.shard=2/8\n" and done.returncode == 3
