"""What every key of every yaml promises: a value runs and is recorded as it is meant, or is refused in a line that names the
key. A new file in conf/ is tested here without a line of test code."""

import copy
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from conftest import NETWORK, SETTINGS
from jobs import SMALL, coarse, complete, rows_of, small_job
from omegaconf import OmegaConf
from PIL import Image

from bench.choices import CONF
from bench.config import configured, load
from bench.errors import UserError
from bench.images.source import open_source
from bench.report import __main__ as report
from bench.running.forecast import forecast
from bench.running.job import bind, build, open_job

VALUES = [0, -1, 2.5, 10**9, None, "word", [1, 2]]
GROUPS = ("method", "metric", "model", "data", "compute")
FILES = sorted(f"{group}/{file.stem}" for group in GROUPS for file in (CONF / group).glob("*.yaml"))
SAID = {  # where what is not there is named, not the key that asked for it
    "model.weights": "There is no weight file",
    "model.feature_layer": "has no layer",
    "method.root": "there is no map",
    "data.root": "data set",
}
SECONDS = 60  # more than any of these runs takes
QUICK = ["data.limit=1", "compute.batch_size=1", "method=sm", "metric=[unified]", "metric.unified.step=768"]


def leaves(tree: dict, prefix: str) -> Iterator[str]:
    """The keys that hold a value, dotted."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}"


@contextmanager
def in_time():
    """A run that does not advance fails the test instead of holding it."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def try_all(base, keys, run=lambda config: None):
    """Every value at every key: `run` takes the configuration, or somebody raises UserError. Returns what was taken."""
    del base.cfg.hydra
    taken, faults = [], []
    for key in keys:
        for value in VALUES:
            cfg = copy.deepcopy(base.cfg)
            OmegaConf.update(cfg, key, value, merge=False)
            try:
                with in_time():
                    run(configured(cfg, OmegaConf.create(base.names), base.overrides))
                taken.append((key, value))
            except UserError as error:
                said = str(error)
                named = key in said or key.rpartition(".")[2] in said or SAID.get(key, key) in said
                faults += [] if named and len(said.splitlines()) == 1 else [f"{key}={value}: {said}"]
            except Exception as error:
                faults.append(f"{key}={value}: {type(error).__name__}: {error}")
    assert not faults, "\n".join(faults)
    return taken


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job of one image; the tests put other parts in."""
    return small_job(tmp_path_factory.mktemp("results"), *QUICK)


def run_one(job, folder):
    """An image, its row, and what the records say of its settings."""
    job = replace(job, results=Path(tempfile.mkdtemp(dir=folder)), _run_ids={})
    forecast(job, list(job.metrics))
    complete(job)
    for error in rows_of(job.results)["error"].dropna():
        raise UserError(error)
    for metric in job.metrics:
        job.record(metric)
        recorded = yaml.safe_load((job.results / "runs" / f"{job.run_id(metric)}.yaml").read_text())["config"]
        meant = OmegaConf.to_container(job.config.cfg, resolve=True)
        meant["metric"] = meant["metric"][metric]
        assert recorded == {group: meant[group] for group in recorded}


RUN = set()  # many files set the same keys of the same builder


def first_time(settings: object) -> bool:
    settings = yaml.safe_dump(OmegaConf.to_container(settings, resolve=True))
    return settings not in RUN and not RUN.add(settings)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("method/")])
def test_methods(file, job, tmp_path):
    name = file.rpartition("/")[2]
    own = load([f"method={name}"]).cfg.method
    few = [
        f"method.{key}=2"
        for key in ("copies", "steps", "draws", "n_classes", "probes", "points", "masks")
        if key in own
    ]
    root = [f"method.root={tmp_path}"] if name == "precomputed" else []
    few += ["method.arguments.n_samples=2"] if "n_samples" in own.get("arguments", {}) else []
    needed = [o for o in SETTINGS.get(name, []) if "name=" in o]
    own_network = (
        [f"model.net._target_=conftest.{NETWORK[name]}", "model.feature_layer=null"] if name in NETWORK else []
    )
    job = small_job(tmp_path, *QUICK, *own_network) if own_network else job
    base = load([*SMALL, *QUICK, *own_network, f"method={name}", *needed, *few, *root])

    def run(config):
        if first_time(config.cfg.method):
            method = build(config.cfg.method, "method")
            bind(method, job.source, 0)
            run_one(replace(job, config=config, method=method), tmp_path)

    try_all(base, leaves(OmegaConf.to_container(base.cfg.method), "method"), run)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("metric/")])
def test_metrics(file, job, tmp_path):
    name = file.rpartition("/")[2]
    base = load(coarse(*SMALL, *QUICK[:3], f"metric=[{name}]"))

    def run(config):
        if first_time(config.cfg.metric):
            metric = build(config.cfg.metric[name], f"metric.{name}")
            run_one(replace(job, config=config, metrics={name: metric}), tmp_path)

    try_all(base, leaves(OmegaConf.to_container(base.cfg.metric), "metric"), run)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("model/")])
def test_models(file, tmp_path):
    """`tiny` runs; the others have the same keys and ranges, and weights that are large or far away."""
    name = file.rpartition("/")[2]
    small = [o for o in SMALL if not o.startswith("model.")] if name != "tiny" else SMALL
    named = ["model.name=resnet18"] if name in ("timm", "torchvision", "hf") else []
    base = load([*small, *QUICK, f"model={name}", *named, f"paths.results={tmp_path}", "method=gradcam"])
    keys = leaves(OmegaConf.to_container(base.cfg.model), "model")
    try_all(base, keys, lambda config: run_one(open_job(config), tmp_path) if name == "tiny" else None)


@pytest.fixture
def roots(tmp_path):
    """{source: the overrides under which it finds a picture}."""
    pytest.importorskip("datasets")
    import datasets

    picture = Image.linear_gradient("L").resize((40, 40)).convert("RGB")
    for place in ("folder", "imagenet/n01440764", "la_release/visualized_imgs"):
        (tmp_path / place).mkdir(parents=True)
        picture.save(tmp_path / place / "0.png")
    torch.save(torch.tensor([3]), tmp_path / "la_release" / "label_batch.pt")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    table = datasets.Dataset.from_dict({"image": [picture], "label": [3]}, features=features)
    (tmp_path / "hf").mkdir()
    table.to_parquet(tmp_path / "hf" / "validation.parquet")
    return {name: [f"data.root={tmp_path / name}"] for name in ("folder", "imagenet", "la_release", "hf")}


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("data/")])
def test_data(file, job, tmp_path, roots):
    name = file.rpartition("/")[2]
    base = load([*SMALL, *QUICK, f"data={name}", *roots.get(name, [])])

    def run(config):
        source, ids = open_source(config.cfg.data, job.network.preprocessing, config.cfg.run.seed)
        run_one(replace(job, config=config, source=source, ids=ids[:1]), tmp_path)

    try_all(base, leaves(OmegaConf.to_container(base.cfg.data), "data"), run)


@pytest.mark.parametrize("group", ["compute", "run"])
def test_how_it_is_run(group, tmp_path):
    base = load([*SMALL, *QUICK, f"paths.results={tmp_path}"])
    try_all(
        base, leaves(OmegaConf.to_container(base.cfg[group]), group), lambda config: run_one(open_job(config), tmp_path)
    )


def test_reports_and_places(job):
    base = load([*SMALL, *QUICK])
    keys = [*leaves(OmegaConf.to_container(base.cfg.report), "report"), "paths.results"]
    taken = try_all(base, keys)
    complete(job)
    for metric in job.metrics:
        job.record(metric)
    for key, value in taken:
        if key.startswith("report"):
            report.make([f"paths.results={job.results}", "report.bootstrap=40", f"{key}={value}"])
