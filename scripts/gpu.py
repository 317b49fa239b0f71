"""Everything that a GPU can tell, in one go: python scripts/gpu.py [minutes=9] [device=cuda] [to=docs/performance-gpu.md]

In this order, each part for itself, as long as the minutes last:

    contracts    what every method and metric promises, tested on the device (pytest --device)
    memory       a device without room: the width is halved, said once, the rows are those of narrow passes
    passes       images a second of each network's own passes: fp32 whole and folded, TF32, bf16, CUDA graphs; and how far
                 probabilities move
    drift        scores and the ranking of methods in TF32 and bf16 beside fp32, on photographs, with the first network
    efficiency   methods and metrics beside the floor of their passes (python -m bench.profile), and images a second
    forecast     hours of LA's Table 1 on this device
    compiled     passes through torch.compile, last, as it takes its time

    parts=memory,drift       those alone
    models=resnet50,vgg16    networks of `passes`, `efficiency` and `compiled`; random weights, but for EfficientNet-Lite0
    images=64                that a pass takes
    processes=8              that run the tests

Writes Markdown after each part, so that what there is stays if the device is taken away. Exits with 1 if a part fails.
"""

import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch
from scipy.stats import kendalltau
from torch import Tensor

import bench
from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.experiments.plan import cells
from bench.experiments.sweep import composed, outlook
from bench.profile.__main__ import measure
from bench.profile.alternating import Spread, Work, alternating
from bench.profile.floor import FORWARD, ONCE, counted, passes
from bench.profile.modes import OF_SCORE, opened_in, scored
from bench.profile.subjects import like as other_settings
from bench.profile.tables import Measured
from bench.running.job import Job, open_job
from bench.running.runner import run
from bench.running.work import missing
from bench.store.rows import load_rows
from bench.studies import study

MODELS = ("efficientnet_lite0", "resnet50", "vgg16", "inception_v3", "maxvit_t", "vit_b_16")
METHODS = (  # of efficiency, on the first network; dear ones last
    "sm",
    "deeplift",
    "ig",
    "guided_ig",
    "sg",
    "agi",
    "la",
    "attexplore",
)
FEW = ("ig",)  # on the others
SHORT = {
    "unified": "metric.unified.step=1792",
    "kl": "metric.kl.step=1792",
}  # 28 frames at 224 pixels, each of which costs alike
ROUNDS = 2
MODES = {  # of the passes: settings under compute.
    "fp32, whole": ["compute.fold=false"],
    "fp32": [],
    "TF32": ["compute.precision=tf32"],
    "bf16 (scores)": ["compute.precision=bf16"],
}
TOLD = re.compile(r"^(FAILED|ERROR) .*|^=* ?.*(passed|failed|error).* in .*", re.MULTILINE)


@dataclass
class Wanted:
    """The command line."""

    minutes: float
    device: str
    to: Path
    parts: tuple[str, ...]
    models: tuple[str, ...]
    images: int
    processes: int

    @classmethod
    def of(cls, arguments: list[str]) -> "Wanted":
        def one(key: str, default: str) -> str:
            nonlocal arguments
            values, arguments = study.listed(arguments, key, (default,))
            return values[0]

        parts, arguments = study.listed(arguments, "parts", tuple(PARTS))
        models, arguments = study.listed(arguments, "models", MODELS)
        if strange := [part for part in parts if part not in PARTS]:
            raise UserError(f"parts={strange[0]}: expected some of {', '.join(PARTS)}.")
        try:
            made = cls(
                float(one("minutes", "9")),
                one("device", "cuda"),
                Path(one("to", "docs/performance-gpu.md")),
                parts,
                models,
                int(one("images", "64")),
                int(one("processes", "8")),
            )
        except ValueError as error:
            raise UserError(f"{error}: minutes=, images= and processes= are numbers.") from None
        if arguments:
            raise UserError(f"{arguments[0]}: expected minutes=, device=, to=, parts=, models=, images= or processes=.")
        return made

    def settings(self, model: str, *more: str, data: str = "synthetic") -> list[str]:
        weights = [] if model in ("efficientnet_lite0", "tiny") else ["model.weights=random"]
        device = [f"compute.device={self.device}", "compute.workers=0"]
        return [f"model={model}", f"data={data}", f"data.limit={self.images}", *weights, *device, *more]

    def job(self, model: str, method: str, *more: str) -> Job:
        return open_job(load([*self.settings(model, *more), f"method={method}"]))


def main(arguments: list[str]) -> int:
    wanted = Wanted.of(arguments)
    began, text, failed = time.monotonic(), [head(wanted)], []
    wanted.to.parent.mkdir(parents=True, exist_ok=True)
    for part in wanted.parts:
        start = time.monotonic()
        left = 60 * wanted.minutes - (start - began)
        lines = []
        try:
            for line in PARTS[part](wanted, left) if left > 0 else [f"Left out: {wanted.minutes:g} minutes were over."]:
                lines.append(line)
                print(line, flush=True)
        except Exception as error:  # the other parts still have something to tell
            traceback.print_exc()
            failed.append(part)
            lines.append(f"\nFailed: `{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}`")
        text.append("\n".join([f"## {part}\n", *lines, f"\n{time.monotonic() - start:.0f} s."]))
        wanted.to.write_text("\n\n".join(text) + "\n", encoding="utf-8")
        if wanted.device == "cuda":
            torch.cuda.empty_cache()
    print(f"{wanted.to}; failed: {', '.join(failed) or 'nothing'}")
    return 1 if failed else 0


def head(wanted: Wanted) -> str:
    name = torch.cuda.get_device_name() if wanted.device == "cuda" else wanted.device
    return (
        "# Performance on a GPU\n\nYou have a GPU and ask what it does to numbers, memory and time.\n\n"
        f"Written by `make gpu` on one {name}, torch {torch.__version__}, Heatproof "
        f"{bench.__version__}, {wanted.images} images a pass. Images of random weights say nothing but time."
    )


def contracts(wanted: Wanted, left: float) -> Iterator[str]:
    command_line = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:benchmark",
        f"--device={wanted.device}",
    ]
    files = ["tests/test_every_method.py", "tests/test_every_metric.py", "tests/test_rng.py"]
    done = subprocess.run(
        [*command_line, "-n", str(wanted.processes), *files], capture_output=True, text=True, timeout=left
    )
    found = [match[0].strip("= ") for match in TOLD.finditer(done.stdout)]
    yield from [f"- {line}" for line in found[-40:]] or [done.stdout[-2000:] + done.stderr[-2000:]]
    if done.returncode:
        print(done.stdout[-6000:])
        raise RuntimeError("tests fail on this device")


def memory(wanted: Wanted, left: float) -> Iterator[str]:
    """The same run with room for everything, and with room for a part of a pass."""
    settings = ["metric=[unified]", SHORT["unified"], f"compute.batch_size={wanted.images}"]
    means = {}
    for crowded in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            job = wanted.job(wanted.models[0], "ig", "method.steps=4", *settings, f"paths.results={folder}")
            if wanted.device == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
                total = torch.cuda.get_device_properties(0).total_memory
                torch.cuda.set_per_process_memory_fraction(means["most"] * 0.6 / total if crowded else 1.0)
            try:
                for _ in run(job, missing(job)):
                    pass
            finally:
                if wanted.device == "cuda":
                    torch.cuda.set_per_process_memory_fraction(1.0)
            rows = load_rows(Path(folder)).sort_values("image_id")
            means[crowded] = rows["insertion"].to_numpy()
            means["most"] = torch.cuda.max_memory_allocated() if wanted.device == "cuda" else 1
            yield (
                f"- {'room for part of a pass' if crowded else 'all the room'}: {job.compute.batch_size} images a pass, "
                f"{means['most'] / 2**20:,.0f} MiB at most, {len(rows)} rows, {(rows['status'] == 'ok').sum()} of them ok."
            )
    yield f"- The largest difference of a score: {abs(means[True] - means[False]).max():.1e}."


def network_passes(wanted: Wanted, left: float) -> Iterator[str]:
    yield "| network | mode | forward, images/s | forward + backward, images/s | largest move of a probability |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for model in wanted.models:
        reference = None
        for mode, settings in MODES.items():
            job = wanted.job(model, "sm", *settings, f"compute.batch_size={wanted.images}")
            x, target = images_of(job)
            works = {name: work for name, work in passes(job, x, target).items() if name in (FORWARD, ONCE)}
            now = answers(job, x)
            reference = now if reference is None else reference
            both = min(len(now), len(reference))  # a mode may want another width
            yield row(model, mode, rates(job, works, len(x)), (now[:both] - reference[:both]).abs().max().item())
            if wanted.device == "cuda" and mode in ("fp32", "TF32"):
                yield row(model, f"{mode}, CUDA graph", rates(job, graphs(works), len(x)), None)


def compiled(wanted: Wanted, left: float) -> Iterator[str]:
    """Until the time is over: each network takes a minute or so to compile."""
    yield "| network | mode | forward, images/s | forward + backward, images/s | largest move of a probability |"
    yield "| --- | --- | ---: | ---: | ---: |"
    began = time.monotonic()
    for model in wanted.models:
        if time.monotonic() - began > left - 60:
            yield f"\nLeft out from {model} on: the time was over."
            return
        eager = wanted.job(model, "sm", f"compute.batch_size={wanted.images}", "compute.precision=tf32")
        job = wanted.job(
            model, "sm", f"compute.batch_size={wanted.images}", "compute.precision=tf32", "compute.compile=true"
        )
        x, target = images_of(job)
        works = {name: work for name, work in passes(job, x, target).items() if name in (FORWARD, ONCE)}
        yield row(
            model, "TF32, compiled", rates(job, works, len(x)), (answers(job, x) - answers(eager, x)).abs().max().item()
        )


def drift(wanted: Wanted, left: float) -> Iterator[str]:
    """The same photographs in each precision."""
    chosen = ["method=sm,ig,sg,la,agi,random", "metric=[unified,kl]", *SHORT.values(), "compute.batch_size=8"]
    scores = {}
    for precision in ("fp32", "tf32", "bf16"):
        settings = wanted.settings(wanted.models[0], *chosen, f"compute.precision={precision}", data="photos")
        scores[precision] = scored(opened_in(settings), precision).values
    yield "| metric | score | precision | mean move | largest | Kendall's τ of the methods' means |"
    yield "| --- | --- | --- | ---: | ---: | ---: |"
    for precision in ("tf32", "bf16"):
        for metric, score in product(("kl", "unified"), ("deletion", "insertion")):
            plain, fast = (scores[p].xs((metric, score), axis=1, level=OF_SCORE[1:]) for p in ("fp32", precision))
            moved = (fast - plain).abs().stack()
            tau = kendalltau(plain.mean(), fast.mean()).statistic
            yield f"| {metric} | {score} | {precision} | {moved.mean():.1e} | {moved.max():.1e} | {tau:.2f} |"


def efficiency(wanted: Wanted, left: float) -> Iterator[str]:
    """One after the other, so that what has been measured is told when the time is over."""
    yield "| network | subject | passes an image | efficiency (median; from … to) | images/s |"
    yield "| --- | --- | ---: | ---: | ---: |"
    began = time.monotonic()
    for number, model in enumerate(wanted.models):
        first = wanted.job(model, "sm", "metric=[unified]", SHORT["unified"], f"compute.batch_size={wanted.images}")
        for method in METHODS if number == 0 else FEW:
            if time.monotonic() - began > left:
                yield f"\nLeft out from {method} on {model} on: the time was over."
                return
            job = replace(like(first, method, wanted), metrics=first.metrics if method == METHODS[0] else {})
            yield from (line(model, one) for one in measure([job], ROUNDS, time.perf_counter)[1])


def line(model: str, one: Measured) -> str:
    made = one.counts.forward / one.images, one.counts.backward / one.images
    best, spread = one.efficiency or (float("nan"), Spread.of([float("nan")]))
    return (
        f"| {model} | {one.subject} | {made[0]:.0f} + {made[1]:.0f} | {best:.2f} ({spread.median:.2f}; "
        f"{spread.low:.2f} to {spread.high:.2f}) | {one.images / min(one.seconds):,.1f} |"
    )


def like(job: Job, method: str, wanted: Wanted) -> Job:
    """Another method on the same network and images."""
    settings = ["metric=[unified]", SHORT["unified"]]
    return other_settings(job, [f"method={method}", f"compute.device={wanted.device}", *settings])


def forecast(wanted: Wanted, left: float) -> Iterator[str]:
    """With random weights, which take as long: nothing is downloaded."""
    for precision in ("fp32", "tf32"):
        settings = ["experiment=la_table1", "data=synthetic", "data.limit=1000", f"compute.precision={precision}"]
        config = load([*settings, f"compute.device={wanted.device}", "paths.results=nowhere"])
        parts = [composed(config, cell) for cell in cells(config.cfg.experiment)]
        yield f"- {precision}: {outlook(parts)[1]}"


def images_of(job: Job) -> tuple[Tensor, Tensor]:
    """[N, 3, size, size] in [0, 1], placed, and the class of each."""
    batch = next(study.batches(job))
    with torch.inference_mode():
        target = job.network(batch.x).argmax(dim=1)
    return batch.x, target.clone()


def answers(job: Job, x: Tensor) -> Tensor:
    with torch.inference_mode(), job.compute.scoring():
        return job.network(x).float().softmax(dim=1)


def rates(job: Job, works: dict[str, Work], images: int) -> dict[str, float]:
    """Images a second."""

    def now() -> float:
        job.compute.synchronise()
        return time.perf_counter()

    assert all(counted(job, work) for work in works.values())
    return {name: images / min(seconds) for name, seconds in alternating(works, ROUNDS, now).items()}


def graphs(works: dict[str, Work]) -> dict[str, Work]:
    """Each work captured once, and replayed."""
    replays = {}
    for name, work in works.items():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        replays[name] = graph.replay
    return replays


def row(model: str, mode: str, rate: dict[str, float], moved: float | None) -> str:
    told = "" if moved is None else f"{moved:.1e}"
    return f"| {model} | {mode} | {rate[FORWARD]:,.0f} | {rate[ONCE]:,.0f} | {told} |"


PARTS: dict[str, Callable[[Wanted, float], Iterator[str]]] = {
    "contracts": contracts,
    "memory": memory,
    "passes": network_passes,
    "drift": drift,
    "efficiency": efficiency,
    "forecast": forecast,
    "compiled": compiled,
}

if __name__ == "__main__":
    command(__doc__, main)
