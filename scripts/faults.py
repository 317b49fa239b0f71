"""What a run survives: python scripts/faults.py [kills=30] [images=24] [seed=0] [write]

Runs a small network over pictures, with maps, and strikes the run: SIGKILL at random moments and at every single step of
writing, a full disk, a folder that is read-only for a while, broken and deleted files, two processes on the same work,
clocks that jump, SIGTERM and Ctrl-C. After each the same command is given again until it ends well, and what lies there
then is held against a run that nobody disturbed: rows lost, rows that differ in anything but seconds and file times, rows
twice, maps that differ. Prints a table; exits with 1 if anything was lost or differs; `write` puts the table into
docs/reliability.md.

A full disk is a small tmpfs, a read-only folder a bind mount, where the system lets this program mount (as root);
elsewhere a limit on the size of files, and a file in the folder's place. Which it was, the table says.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from bench.choices import ROOT
from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.run import one_run
from bench.store.compact import compact
from bench.store.merge import COSTS

RUN = [
    *["model=tiny", "model.size=32", "model.resize=32", "method=sm", "metric=[unified]", "metric.unified.step=768"],
    *["data=folder", "compute.device=cpu", "compute.batch_size=2", "compute.workers=0", "run.save_attributions=true"],
]
PAGE, START, END = ROOT / "docs" / "reliability.md", "<!-- faults -->", "<!-- end of faults -->"
PATIENCE = 120.0  # seconds that a run may take
MOST = 10  # times that the command is given again
KEY = ["run_id", "image_id"]


@dataclass(frozen=True)
class Outcome:
    """Of one fault: what was done and seen, and how what is there in the end differs from an undisturbed run."""

    fault: str
    times: int
    seen: str
    lost: int = 0
    differ: int = 0
    twice: int = 0
    maps: int = 0

    @property
    def line(self) -> str:
        return (
            f"| {self.fault} | {self.times} | {self.seen} | {self.lost} | {self.differ} | {self.twice} | {self.maps} |"
        )


class Bench:
    """Pictures, an undisturbed run over them, and folders for others to be disturbed in."""

    def __init__(self, folder: Path, images: int, seed: int):
        self.folder, self.pictures, self._n = folder, folder / "pictures", 0
        self.random = np.random.default_rng(seed)  # noqa: TID251 (moments to strike at: no number comes of them)
        self.pictures.mkdir()
        for k in range(images):
            pixels = self.random.integers(256, size=(32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.pictures / f"{k}.png")
        self.whole = self.new()
        self.run(self.whole)
        began = time.monotonic()
        self.run(self.new())
        self.seconds = time.monotonic() - began  # of a run, once its libraries are warm

    def new(self) -> Path:
        self._n += 1
        return self.folder / f"results{self._n}"

    def begin(self, results: Path, prepare: Callable[[], object] = lambda: None) -> int:
        """The process that runs there.  prepare: what happens in it first."""
        return forked(
            lambda: (prepare(), one_run(load([*RUN, f"data.root={self.pictures}", f"paths.results={results}"])))
        )

    def run(self, results: Path, prepare: Callable[[], object] = lambda: None) -> int:
        """Its exit status; minus the signal that ended it."""
        return ended(self.begin(results, prepare))

    def struck(self, results: Path, share: float, number: int = signal.SIGKILL) -> int:
        """Exit status of a run that gets a signal when so much of its usual time is over."""
        pid = self.begin(results)
        time.sleep(share * self.seconds)
        os.kill(pid, number)
        return ended(pid)

    def until_rows(self, results: Path, files: int = 2) -> int:
        """A run, as soon as so many files of rows are there."""
        pid, deadline = self.begin(results), time.monotonic() + PATIENCE
        while len(parts_of(results)) < files and time.monotonic() < deadline:
            time.sleep(0.002)
        return pid

    def half(self) -> Path:
        """Results of a run that was killed on its way: files of rows that nobody has joined."""
        results = self.new()
        pid = self.until_rows(results, 3)
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        return results

    def outcome(self, fault: str, times: int, seen: str, *stores: Path) -> Outcome:
        """Of these stores, after the command was given again until it ended well."""
        again, counts = 0, np.zeros(4, dtype=int)
        for results in stores:
            for _ in range(MOST):
                again += 1
                if self.run(results) == 0:
                    break
            counts += compared(results, self.whole)
        return Outcome(fault, times, f"{seen}; {again} more {'run' if again == 1 else 'runs'}", *counts.tolist())


def forked(work: Callable[[], object]) -> int:
    """A child that works and ends as a command would. It begins with all libraries loaded."""
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads that a library may have: none of ours holds a lock
        pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        silence = os.open(os.environ.get("FAULTS_LOG", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(silence, stream)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        work()
        status = 0
    except UserError as error:
        os.write(2, f"error: {error}\n".encode())
        status = 1
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def parts_of(results: Path) -> list[Path]:
    return sorted((results / "rows").rglob("[!._]*.parquet"))


def compared(results: Path, whole: Path) -> tuple[int, int, int, int]:
    """Rows lost, rows that differ, rows twice, maps that differ or are missing."""
    wanted, found = rows(whole), rows(results)
    twice = int(found.index.duplicated().sum())
    there = found[~found.index.duplicated()].reindex(wanted.index)
    lost = there["status"].isna()
    differ = (wanted != there).any(axis=1) & ~lost
    maps = [file.relative_to(whole) for file in (whole / "attributions").rglob("*.npy")]
    wrong = sum(
        not (results / file).exists() or (results / file).read_bytes() != (whole / file).read_bytes() for file in maps
    )
    records = {file.name for file in (whole / "runs").glob("*.yaml")}
    lost_records = len(records - {file.name for file in (results / "runs").glob("*.yaml")})
    return int(lost.sum()) + lost_records, int(differ.sum()), twice, wrong


def rows(results: Path) -> pd.DataFrame:
    """All columns but the costs, as anybody reads them; what is nothing as a word, curves as bytes."""
    found = pd.read_parquet(results / "rows").drop(columns=list(COSTS)).set_index(KEY).sort_index().astype(object)
    for name in ("insertion_curve", "deletion_curve"):
        found[name] = [None if curve is None else np.asarray(curve).tobytes() for curve in found[name]]
    return found.where(found.notna(), "nothing")


def kills(bench: Bench, times: int) -> Outcome:
    """A store is struck until it is done, then the next one."""
    results, stores, spared = bench.new(), [], 0
    for _ in range(times):
        status = bench.struck(results, bench.random.uniform())
        if status == 0:
            spared += 1
            stores.append(results)
            results = bench.new()
    return bench.outcome("SIGKILL at random moments", times, f"{times - spared} killed", *stores, results)


def kills_at_every_step(bench: Bench, images: int = 4) -> Outcome:
    """Before each call that changes what is on disk: naming, synchronising, deleting."""

    def few(results: Path) -> None:
        one_run(load([*RUN, f"data.root={bench.pictures}", f"paths.results={results}", f"data.limit={images}"]))

    stores = list(struck_at_each_step(bench.new, few))
    seen = f"{len(stores)} steps of a run over {images} images"
    return bench.outcome("SIGKILL before each step of writing", len(stores), seen, *stores)


def kills_of_compaction(bench: Bench) -> Outcome:
    half = bench.half()
    stores = list(struck_at_each_step(lambda: Path(shutil.copytree(half, bench.new())), compact))
    return bench.outcome("SIGKILL before each step of `compact`", len(stores), f"{len(stores)} steps", *stores)


def struck_at_each_step(new: Callable[[], Path], work: Callable[[Path], object]) -> Iterator[Path]:
    """Folders in which the work was killed before its first step, its second, … until it has no more."""
    for step in count():
        results = new()

        def struck(step: int = step, results: Path = results) -> None:
            kill_at(step)
            work(results)

        if ended(forked(struck)) != -signal.SIGKILL:
            return
        yield results


def kill_at(step: int) -> None:
    """This process, before its step-th call of those that change files."""
    calls = [0]

    def counted(call: Callable) -> Callable:
        def struck(*args, **keywords):
            if calls[0] == step:
                os.kill(os.getpid(), signal.SIGKILL)
            calls[0] += 1
            return call(*args, **keywords)

        return struck

    os.replace, os.fsync = counted(os.replace), counted(os.fsync)
    Path.unlink, Path.replace = counted(Path.unlink), counted(Path.replace)  # type: ignore[method-assign]


def signals(bench: Bench) -> Outcome:
    stores, statuses = [], []
    for number in (signal.SIGTERM, signal.SIGINT):
        stores.append(bench.new())
        pid = bench.until_rows(stores[-1])
        os.kill(pid, number)
        statuses.append(str(ended(pid)))
    return bench.outcome("SIGTERM, Ctrl-C", 2, f"exit status {', '.join(statuses)}", *stores)


def full_disk(bench: Bench) -> Outcome:
    results = bench.new()
    with mounted("tmpfs", results, "size=160k", kind="tmpfs") as there:
        if not there:

            def limited() -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

            status = bench.run(results, limited)
            return bench.outcome("files limited to 4 kB (no mount)", 1, f"exit status {status}", results)
        status, files = bench.run(results), len(parts_of(results))
        subprocess.run(["mount", "-o", "remount,size=64m", str(results)], check=True)
        seen = f"full after {files} files of rows, exit status {status}"
        return bench.outcome("a full disk (tmpfs of 160 kB), then room", 1, seen, results)


def read_only(bench: Bench) -> Outcome:
    results = bench.half()
    with mounted(str(results), results, "bind") as there:
        if not there:
            aside = results.with_name(f"{results.name}-aside")
            (results / "rows").rename(aside)
            (results / "rows").write_text("no folder")
            status = bench.run(results)
            (results / "rows").unlink()
            aside.rename(results / "rows")
            return bench.outcome(
                "a file in the place of rows/ for a while (no mount)", 1, f"exit status {status}", results
            )
        remounted(results, "ro")
        before = bench.run(results)
        remounted(results, "rw")
        pid = bench.until_rows(results, len(parts_of(results)) + 1)
        while ended_quietly := remounted(results, "ro", check=False):  # busy while a file is being written
            if os.waitpid(pid, os.WNOHANG)[0] or ended_quietly == 0:
                break
        status = ended(pid)
        remounted(results, "rw")
        return bench.outcome(
            "a read-only folder, from the start and on the way", 2, f"exit status {before}, {status}", results
        )


def remounted(folder: Path, how: str, check: bool = True) -> int:
    return subprocess.run(
        ["mount", "-o", f"remount,bind,{how}", str(folder)], check=check, stderr=subprocess.DEVNULL
    ).returncode


@contextlib.contextmanager
def mounted(what: str, where: Path, options: str, kind: str | None = None) -> Iterator[bool]:
    """Whether the system lets it."""
    where.mkdir(parents=True, exist_ok=True)
    typed = ["-t", kind] if kind else []
    try:
        there = (
            subprocess.run(["mount", *typed, "-o", options, what, str(where)], stderr=subprocess.DEVNULL).returncode
            == 0
        )
    except OSError:
        there = False
    try:
        yield there
    finally:
        if there:
            subprocess.run(["umount", "--lazy", str(where)], check=True)


def broken_files(bench: Bench) -> Outcome:
    """Half of its bytes, none, others in their place."""
    stores = []
    for spoil in (lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: bytes(len(whole))):
        stores.append(bench.half())
        file = parts_of(stores[-1])[0]
        file.write_bytes(spoil(file.read_bytes()))
    return bench.outcome("a file of rows cut in half, empty, zeros", 3, "set aside", *stores)


def records_gone(bench: Bench) -> Outcome:
    """Deleted, or cut in half; of a run that is done."""
    stores = []
    for spoil in (Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:300])):
        stores.append(bench.new())
        bench.run(stores[-1])
        spoil(next((stores[-1] / "runs").glob("*.yaml")))
    return bench.outcome("a record deleted, cut", 2, "written anew", *stores)


def two_at_once(bench: Bench) -> Outcome:
    results = bench.new()
    statuses = [ended(pid) for pid in [bench.begin(results), bench.begin(results)]]
    doubled = compared(results, bench.whole)[2]
    compact(results)
    seen = f"exit status {', '.join(map(str, statuses))}; {doubled} rows twice, once after `compact`"
    return bench.outcome("two processes on the same work", 1, seen, results)


def clocks(bench: Bench) -> Outcome:
    """Times of all files, and the clock of the run that goes on."""
    stores = []
    for years in (-20, 20):
        stores.append(bench.half())
        shift = years * 365 * 86400
        for file in [*stores[-1].rglob("*"), *bench.pictures.iterdir()]:
            os.utime(file, (time.time() + shift, time.time() + shift))
        clock = time.time

        def jumped() -> None:
            time.time = lambda: clock() - 2 * shift  # noqa: B023 (called in this turn)

        bench.run(stores[-1], jumped)
    return bench.outcome("clocks and file times 20 years off, either way", 2, "as ever", *stores)


def main(arguments: list[str]) -> int:
    asked = {"kills": 30, "images": 24, "seed": 0}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if argument != "write":
            if key not in asked or not value.isdigit():
                raise UserError(f"{argument}: expected {', '.join(f'{name}=N' for name in asked)} or write.")
            asked[key] = int(value)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), asked["images"], asked["seed"])
        text = ["| fault | times | what was seen | rows lost | differ | twice | maps wrong |"]
        text += ["| --- | ---: | --- | ---: | ---: | ---: | ---: |"]
        print(*text, sep="\n", flush=True)
        wrong = 0
        for outcome in outcomes(bench, asked["kills"]):
            print(outcome.line, flush=True)
            text.append(outcome.line)
            wrong += outcome.lost + outcome.differ + outcome.maps
    if "write" in arguments:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
        after = rest.partition(END)[2]
        PAGE.write_text(before + "\n".join([START, "", *text, "", END]) + after, encoding="utf-8")
    return int(wrong > 0)


def outcomes(bench: Bench, times: int) -> Iterator[Outcome]:
    yield kills(bench, times)
    yield kills_at_every_step(bench)
    for fault in (kills_of_compaction, signals, full_disk, read_only, broken_files, records_gone, two_at_once, clocks):
        yield fault(bench)


if __name__ == "__main__":
    command(__doc__, main)
