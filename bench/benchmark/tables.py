"""A benchmark as a document: who computes the same, and how long it takes."""

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import bench
from bench.benchmark.contest import SAME, Contest, Verdict
from bench.figures import ranked
from bench.figures.ranked import Chart, Point
from bench.profile.alternating import Spread, ratio
from bench.profile.subjects import Bench
from bench.report.document import Document
from bench.report.exhibits.exhibit import Figure
from bench.report.table import NOTHING, Entry, Table, columns
from bench.running.job import Job
from bench.text import plural
from bench.typed import made_again

OURS = "Heatproof"
TITLE = "Heatproof beside others"
LEAST = (
    "Times as long: of the least seconds on both sides, as what interferes can only slow a measurement down; in brackets "
    "the median and both ends of what each round says. Above 1 Heatproof is faster."
)
FAIR = (
    "All sides run in one process, where memory that is freed is kept for the next pass, which a script does not have by "
    "itself: it makes the others faster than they are alone. The network is handed to them as it was loaded; ours is "
    "folded (compute.fold)."
)


@dataclass(frozen=True)
class Result:
    """seconds: of all images, in each round, of us and of whoever computes the same; none where nobody does."""

    contest: Contest
    verdicts: dict[str, Verdict]
    seconds: dict[str, list[float]]
    images: int


def document(results: list[Result], facts: list[str]) -> tuple[Document, Chart]:
    tables = [times(results), agreement(results)]
    notes = [LEAST, FAIR, *helped(results)]
    picture = Figure("Times as long as Heatproof")
    made = Document("benchmark", TITLE, numbers(results), tables, facts, notes, [picture])
    return made, chart(results)


def facts(job: Job, on: Bench, rounds: int, overrides: list[str]) -> list[str]:
    """What the numbers are of."""
    cfg = job.config.cfg
    return [
        f"Network: {job.config.names['model']}, {job.network.preprocessing.size} pixels, weights {job.weights[:8]}; "
        f"{plural(len(on.batch.ids), 'image')} of {job.config.names['data']}, {plural(len(on.x), 'image')} a pass.",
        f"Machine: {job.compute.device_name}, {plural(torch.get_num_threads(), 'thread')}, precision "
        f"{cfg.compute.precision}; Python {platform.python_version()}, PyTorch {torch.__version__}, NumPy "
        f"{np.__version__}; Heatproof {bench.__version__}.",
        f"Everything {plural(rounds, 'time')}, alternating, after a first time that does not count.",
        f"{made_again('bench.benchmark', overrides)}.",
    ]


def times(results: list[Result]) -> Table:
    rows = []
    for result in results:
        for name, seconds in result.seconds.items():
            spread = Spread.of([1000 * second / result.images for second in seconds])
            least, each = ratio(seconds, result.seconds[OURS])
            times = f"{least:.2f} ({each.median:.2f}; {each.low:.2f} to {each.high:.2f})"
            rows.append(
                [
                    Entry(result.contest.title),
                    Entry(name),
                    Entry(f"{spread.median:.1f} ({spread.low:.1f} to {spread.high:.1f})", spread.median),
                    Entry(NOTHING) if name == OURS else Entry(times, least),
                ]
            )
    return Table("Time", columns("", "by", "milliseconds an image", "times as long as Heatproof"), rows)


def agreement(results: list[Result]) -> Table:
    rows = []
    for result in results:
        kind = "of a number" if result.contest.absolute else "of a map's length"
        for name, verdict in result.verdicts.items():
            known = np.isfinite(verdict.difference)
            found = Entry(f"{verdict.difference:.1e}", verdict.difference) if known else Entry(NOTHING)
            bound = Entry(f"{result.contest.tolerance:.0e} {kind}")
            rows.append(
                [Entry(result.contest.title), Entry(name), Entry(verdict.word), found, bound, Entry(verdict.why)]
            )
    below = ["Asked before anything was timed; who does not compute the same was not."]
    return Table("Agreement", columns("", "by", "computes", "difference", "most", "why not"), rows, below=below)


def helped(results: list[Result]) -> list[str]:
    peers = [(result.contest, peer) for result in results for peer in result.contest.peers]
    return [f"{contest.title}: {peer.library.name} was {peer.help}." for contest, peer in peers if peer.help]


def numbers(results: list[Result]) -> pd.DataFrame:
    """A line for everybody in every contest; seconds are of an image, ratios to ours."""
    lines = []
    for result in results:
        versions = {peer.library.name: peer.library.version for peer in result.contest.peers}
        for name in dict.fromkeys([*result.seconds, *result.verdicts]):
            verdict = result.verdicts.get(name, Verdict(SAME))
            line: dict = {
                "contest": result.contest.name,
                "by": name,
                "version": versions.get(name, bench.__version__),
                "computes": verdict.word,
                "difference": verdict.difference,
                "tolerance": result.contest.tolerance,
                "why": verdict.why,
            }
            seconds = result.seconds.get(name)
            spread = Spread.of([s / result.images for s in seconds]) if seconds else None
            least, each = ratio(seconds, result.seconds[OURS]) if seconds else (float("nan"), None)
            line |= {f"seconds_{end}": getattr(spread, end, float("nan")) for end in ("median", "low", "high")}
            line |= {"ratio": least}
            line |= {f"ratio_{end}": getattr(each, end, float("nan")) for end in ("median", "low", "high")}
            lines.append(line)
    found = pd.DataFrame(lines)
    return found.replace({"difference": float("inf")}, float("nan"))


def chart(results: list[Result]) -> Chart:
    points = []
    for result in results:
        for name, seconds in result.seconds.items():
            if name != OURS:
                least, each = ratio(seconds, result.seconds[OURS])
                points.append(Point(f"{result.contest.name} · {name}", least, each.low, each.high))
    points.append(Point(OURS, 1.0, 1.0, 1.0, standing="best"))
    return Chart(TITLE, "times as long as Heatproof", sorted(points, key=lambda point: -point.x))


def draw(stem: Path, chart: Chart) -> list[Path]:
    return ranked.write(stem, [chart])
