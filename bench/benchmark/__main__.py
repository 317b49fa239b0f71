"""Heatproof beside others, in one process, one after the other, again and again: python -m bench.benchmark

Insertion and deletion, IG, SmoothGrad, DeepLIFT, occlusion, Guided IG and Score-CAM, each with the same images, classes,
steps and images a pass on all sides: a plain loop as a paper's script has it, Captum, Quantus, torch-cam, pytorch-grad-cam
and saliency, as far as they are installed. First everybody is asked for the numbers: who computes something else is named,
with the difference, and not timed. Guided IG, whose paths rounding decides, is set side by side in float64.
EfficientNet-Lite0 on photographs, unless model= and data= say otherwise; some five minutes on two cores that nobody else
uses (a busy machine slows all sides, and widens the spread).

    rounds=3                  times that everything is measured
    only=unified,ig           these alone
    engine=onnxruntime        us once more with compute.engine, where passes need no gradient; engine=none leaves it out
    model= data= data.limit= compute. paths.results=    as bench.run takes them

Writes <results>/report/benchmark.md, .csv, .json, .tex, and its picture as .png and .pdf.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from bench.benchmark import tables
from bench.benchmark.contest import SAME, Contest, Material, Verdict, compared, judge
from bench.benchmark.contests import CONTESTS
from bench.benchmark.tables import OURS, Result
from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.networks.network import Network, open_network
from bench.profile.alternating import Work, alternating
from bench.profile.floor import clock
from bench.profile.subjects import Bench, first_batch, like, maps_of
from bench.running.job import Job, open_job
from bench.studies import study

ROUNDS = 3
USUAL = ("model=efficientnet_lite0", "data=photos", "data.limit=8", "compute.workers=0")
LAYER = {("scorecam", "efficientnet_lite0"): ["blocks.2"]}  # 40 channels, where the last layer has 1280
EXACT = ["compute.precision=fp64"]
MAPS = ["method=ig", "method.steps=4"]  # that scores are of


@dataclass(frozen=True)
class Wanted:
    """The keys that no other command has."""

    rounds: int
    only: tuple[str, ...]
    engine: str | None

    @classmethod
    def of(cls, overrides: list[str]) -> tuple["Wanted", list[str]]:
        """And the rest of the command line."""
        names = tuple(contest.name for contest in CONTESTS)
        rounds, rest = study.listed(overrides, "rounds", (str(ROUNDS),))
        only, rest = study.listed(rest, "only", names)
        engine, rest = study.listed(rest, "engine", ("onnxruntime",))
        if not (len(rounds) == 1 and rounds[0].isdecimal() and int(rounds[0])):
            raise UserError(f"rounds={','.join(rounds)}: expected a number of times, 1 or more.")
        if strange := [name for name in only if name not in names]:
            raise UserError(f"only={strange[0]}: expected some of {', '.join(names)}.")
        if fixed := [key for key in rest if key.lstrip("+~").startswith(("method", "metric", "compute.engine"))]:
            raise UserError(f"{fixed[0]}: methods and metrics are the benchmark's own; only=… chooses among them.")
        return cls(int(rounds[0]), only, None if engine == ("none",) else engine[-1]), rest


def main(arguments: list[str]) -> None:
    results, where, facts = compete(arguments)
    document, chart = tables.document(results, facts)
    study.write(document, lambda stem: tables.draw(stem, chart), where)


def compete(
    arguments: list[str], read: Callable[[], float] = time.perf_counter
) -> tuple[list[Result], Path, list[str]]:
    """Of each contest what was found and how long everybody took; the folder of results; what the numbers are of.

    read: the clock, in seconds.
    """
    wanted, rest = Wanted.of(arguments)
    given = {override.partition("=")[0] for override in rest}
    overrides = [*(usual for usual in USUAL if usual.partition("=")[0] not in given), *rest]
    usual = handed_out(overrides)
    engine = with_engine(overrides, wanted.engine)
    results = []
    for contest in tqdm([c for c in CONTESTS if c.name in wanted.only], desc="contests", unit="contest", disable=None):
        of_all = [*overrides, *(EXACT if contest.exact else [])]
        given_to_all = handed_out(of_all) if contest.exact else usual
        settings = [*of_all, *contest.overrides(usual.net.preprocessing.size)]
        settings += [
            f"method.layer={layer}" for layer in LAYER.get((contest.name, usual.job.config.names["model"]), [])
        ]
        material = replace(given_to_all, job=like(given_to_all.job, settings))
        faster = {}
        if engine and contest.without_gradients:
            faster = {f"{OURS}, {wanted.engine}": replace(material, job=like(engine, settings))}
        results.append(held(contest, material, faster, wanted.rounds, read))
    return results, usual.job.results, tables.facts(usual.job, usual.on, wanted.rounds, arguments)


def held(
    contest: Contest, material: Material, faster: dict[str, Material], rounds: int, read: Callable[[], float]
) -> Result:
    """Numbers first, then seconds of whoever has the same.  faster: us by an engine."""
    ours = contest.ours(material)
    verdicts: dict[str, Verdict] = {}
    works: dict[str, Work] = {OURS: lambda: contest.ours(material)}
    for name, other in faster.items():
        verdicts[name] = compared(contest, ours, lambda other=other: contest.ours(other))  # type: ignore[misc]
        works[name] = lambda other=other: contest.ours(other)  # type: ignore[misc]
    for peer in contest.peers:
        verdicts[peer.library.name] = judge(contest, peer, ours, material)
        works[peer.library.name] = lambda peer=peer: peer.compute(material)  # type: ignore[misc]
    works = {name: work for name, work in works.items() if name == OURS or verdicts[name].word == SAME}
    seconds = alternating(works, rounds, clock(material.job, read)) if len(works) > 1 else {}
    return Result(contest, verdicts, seconds, material.width)


def handed_out(overrides: list[str]) -> Material:
    """What all sides get, before a contest says by which settings."""
    job = open_job(load([*overrides, *MAPS, "metric=[unified]"]))
    on = first_batch(job)
    return Material(job, on, as_loaded(job, on), maps_of(job, on))


def as_loaded(job: Job, on: Bench) -> Network:
    """The network once more, as others are handed it: nothing folded, nothing rearranged."""
    return open_network(job.config.cfg.model).to(on.x.device, on.x.dtype)


def with_engine(overrides: list[str], engine: str | None) -> Job | None:
    """Us once more, passes without gradients by that engine; None, and a line, where it is not to be had."""
    if engine is None:
        return None
    if "engine" not in load(list(overrides)).cfg.compute:
        print(f"engine={engine}: this version knows no engines; without it.", file=sys.stderr)
        return None
    try:
        return open_job(load([*overrides, *MAPS, "metric=[unified]", f"compute.engine={engine}"]))
    except UserError as error:
        print(f"Without engine={engine}: {error}", file=sys.stderr)
        return None


if __name__ == "__main__":
    command(__doc__, main)
