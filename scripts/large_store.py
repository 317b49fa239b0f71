"""What a large store costs: python scripts/large_store.py [rows=1000000] [FOLDER]

Makes up rows (20 methods, 5 networks, 2 metrics, so many images each, curves of 100 points), and measures:

    writing     seconds and bytes that a batch of 8 images takes, at the start of a run of 20,000 images and at its end
    report      wall-clock seconds and peak memory of `python -m bench.report` on all of it, in a process of its own
    reading     pandas.read_parquet of two columns

Prints Markdown for docs/reliability.md, with the load of the machine. FOLDER: where the store is made and kept; a temporary
folder if it is not said. Rows of one run lie in one file, as `bench.store compact` leaves them.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml
from omegaconf import OmegaConf

from bench import PROTOCOL
from bench.choices import CONF, ROOT
from bench.cli import command
from bench.config import load
from bench.store import parts, records
from bench.store.parts import SCHEMA
from bench.store.rows import Made, Rows
from bench.text import plural

MODELS, METRICS = ("tiny", "resnet50", "vgg16", "inception_v3", "maxvit_t"), ("unified", "kl")
METHODS = 20
POINTS, CLASSES = 100, 1000
WRITTEN, WIDTH = 20_000, 8  # images of the run whose writing is timed, images a batch


def main(arguments: list[str]) -> None:
    rows = next((int(a.partition("=")[2]) for a in arguments if a.startswith("rows=")), 1_000_000)
    folders = [argument for argument in arguments if "=" not in argument]
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(folders[0] if folders else scratch)
        images = rows // (len(MODELS) * len(METRICS) * METHODS)
        if not (results / "rows").exists():
            made_up(results, images)
        print(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n")
        print(writing(Path(scratch) / "written"))
        print(reading(results))
        print(reported(results))


def made_up(results: Path, images: int) -> None:
    """Scores with a level of the method's, a spread of the image's and one of their own."""
    random = np.random.default_rng(0)  # noqa: TID251 (made-up rows: they belong to no run)
    of_image = random.normal(0, 0.1, images)
    confidence, labels = random.uniform(0.2, 1, images), random.integers(CLASSES, size=images)
    ids = [f"image-{k:06}" for k in range(images)]
    methods = sorted(path.stem for path in (CONF / "method").glob("*.yaml") if path.stem not in ("cam", "captum"))
    for model in MODELS:
        for k, method in enumerate(methods[:METHODS]):
            for metric in METRICS:
                run_id = record(results, {"data": "synthetic", "model": model, "method": method, "metric": metric})
                scores = of_image + random.normal(0.02 * k, 0.1, (2, images))
                curves = (scores[:, :, None] * np.linspace(0.5, 1.5, POINTS)).astype(np.float32)
                columns = {"run_id": [run_id] * images, "image_id": ids, "label": labels, "prediction": labels}
                columns |= {"target": labels, "confidence": confidence, "status": ["ok"] * images}
                columns |= {"seconds_attribution": [0.1] * images, "seconds_metric": [0.1] * images}
                columns |= {"forward_passes": [10.0] * images, "backward_passes": [10.0] * images}
                columns |= {"insertion": scores[0], "deletion": scores[1]}
                columns |= {
                    f"{name}_curve": list(curve) for name, curve in zip(("insertion", "deletion"), curves, strict=True)
                }
                columns |= {"fingerprint": ["0" * 64] * images}
                table = pa.table({
                    field.name: pa.array(columns[field.name], field.type) if field.name in columns
                    else pa.nulls(images, field.type) for field in SCHEMA
                })  # fmt: skip
                cell = {"data": "synthetic", "model": model, "method": method, "metric": metric}
                parts.write(parts.new_file(Rows(results, cell, run_id).folder, run_id), table)


def record(results: Path, cell: dict[str, str]) -> str:
    """The run's id."""
    cfg = load([f"{group}={cell[group]}" for group in ("data", "model", "method")] + [f"metric=[{cell['metric']}]"]).cfg
    identity = records.asked(cell, cfg)
    record = {
        "run_id": identity.id,
        "attribution_id": identity.id,
        "cell": cell,
        "config": records.settings(cfg, cell["metric"]),
        "preprocessing": {"size": 224, "resize": 256},
        "versions": {"heatproof": "made up", "protocol": str(PROTOCOL)},
        "git": {"commit": None, "dirty": None},
        "device": {"type": "cpu", "name": "none"},
        "weights": {"digest": "0" * 64},
        "created": "2026-01-01T00:00:00",
    }
    file = results / "runs" / f"{identity.id}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(OmegaConf.to_container(OmegaConf.create(record))))
    return identity.id


def writing(results: Path) -> str:
    """A table of what a batch takes, along a run."""
    store = Rows(results, {"data": "d", "model": "n", "method": "m", "metric": "u"}, "run")
    curve, seconds, written = [0.5] * POINTS, [], []
    for start in range(0, WRITTEN, WIDTH):
        ids = [f"image-{k:06}" for k in range(start, start + WIDTH)]
        scores = {"status": "ok", "insertion": 0.5, "deletion": 0.5, "insertion_curve": curve, "deletion_curve": curve}
        before, began = _written(), time.perf_counter()
        store.add([{"image_id": image, **scores} for image in ids], {image: Made("0" * 64, None) for image in ids})
        seconds.append(time.perf_counter() - began)
        written.append(_written() - before)
    lines = ["| batches | median ms | longest ms | mean kB |", "| --- | ---: | ---: | ---: |"]
    n = len(seconds)
    for name, part in (("first", slice(0, n // 10)), ("last", slice(n - n // 10, n)), ("all", slice(0, n))):
        ms = 1000 * np.array(seconds[part])
        lines.append(
            f"| {name} {len(ms):,} of {n:,} | {np.median(ms):.1f} | {ms.max():.0f} | {np.mean(written[part]) / 1e3:.0f} |"
        )
    files = len(list((results / "rows").rglob("*.parquet")))
    return "\n".join(lines) + f"\n\nFiles when the run ends: {files}, before its last ones are joined.\n"


def _written() -> int:
    """Bytes that this process has given to the system to write."""
    with open("/proc/self/io") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def reading(results: Path) -> str:
    began = time.perf_counter()
    rows = pd.read_parquet(results / "rows", columns=["run_id", "insertion"])
    size = sum(file.stat().st_size for file in (results / "rows").rglob("*.parquet"))
    return (
        f"{plural(len(rows), 'row')} of {plural(rows['run_id'].nunique(), 'run')}, {size / 1e9:.1f} GB; two columns of all "
        f"by pandas.read_parquet: {time.perf_counter() - began:.1f} s.\n"
    )


def reported(results: Path) -> str:
    """UserError: none; a report that fails says so itself."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "bench.report", f"paths.results={results}"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        f"Report on all rows: {time.perf_counter() - began:.0f} s on the clock, {usage.ru_utime + usage.ru_stime:.0f} s of "
        f"processor, at most {usage.ru_maxrss / 1e6:.2f} GB."
    )


if __name__ == "__main__":
    command(__doc__, main)
