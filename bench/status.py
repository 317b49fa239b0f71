"""How far an experiment is: `python -m bench.status experiment=la_table1` with whatever else its command line said.

    python -m bench.status [workers=N] [KEY=VALUE ...]

For each cell: images done, failed and missing, images a second, the time that the missing ones take, and which processes are
at it since when (bench/store/heartbeat.py). The time left is that of all cells on `workers` processes; if it is not said, on
as many as are at work. Of cells that have not been timed it is guessed: seconds are taken for a row's times a network's.
Reads rows, records and heartbeats; knows no network and no image: of `data.limit` or `data.sample` images it counts how many
are there, not which. Writes <results>/report/status_NAME.md, .csv, .tex and .json, a section of the report's page, until all
is done. KEY=VALUE as for bench.run; without an experiment, of the one cell that they name.
"""

import datetime
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from bench.cli import command
from bench.config import Config, load
from bench.errors import UserError
from bench.experiments import plan as experiments
from bench.experiments.cells import Cells
from bench.experiments.plan import Cell, Row
from bench.images.labels import read_ids
from bench.report.document import Document
from bench.report.paper_table import images_here
from bench.report.table import NOTHING, Column, Entry, Table
from bench.store import records
from bench.store.heartbeat import Beat, beats
from bench.store.rows import load_rows
from bench.text import duration, plural

SECONDS = ["seconds_attribution", "seconds_metric"]


@dataclass(frozen=True)
class State:
    """Of one cell. Images count as done when all of its metrics have scored them."""

    row: str
    model: str
    done: int
    failed: int
    images: int | None  # wanted; None: nobody has opened the images yet
    seconds: float | None  # an image, of the method and all metrics; None: not timed
    at_work: list[Beat]

    @property
    def missing(self) -> int | None:
        return None if self.images is None else max(0, self.images - self.done - self.failed)


def main(arguments: list[str]) -> None:
    """UserError: there is no such experiment, or no such folder."""
    workers = [argument.partition("=")[2] for argument in arguments if argument.startswith("workers=")]
    if workers and not (workers[-1].isdecimal() and int(workers[-1])):
        raise UserError(f"workers={workers[-1]}: expected a number of processes, from 1.")
    overrides = [argument for argument in arguments if not argument.startswith("workers=")]
    config = load(overrides, builders=False)
    results, now = Path(config.cfg.paths.results), time.time()
    if not results.is_dir():
        raise UserError(f"paths.results={results}: there is no such folder; nothing has been computed there.")
    of_cells = states(config, results)
    document = told(config, of_cells, int(workers[-1]) if workers else None, now)
    paths = document.save(results / "report")
    print(paths[0].read_text(encoding="utf-8"))
    if all(state.missing == 0 for state in of_cells):
        for path in paths:
            path.unlink()


def states(config: Config, results: Path) -> list[State]:
    """Of every cell, in the experiment's order."""
    cfg, plan = config.cfg, config.cfg.get("experiment")
    rows, runs, at_work = load_rows(results, SECONDS[1:]), records.load_runs(results), beats(results)
    by_run = {run_id: part for run_id, part in rows.groupby("run_id")} if len(rows) else {}
    here, configs, found = images_here(cfg, runs), Cells(config), []
    for cell in experiments.cells(plan) if plan else [_only(config)]:
        composed = configs.of(cell) if plan else config
        matching = {}
        for metric in cell.metrics:
            names = composed.names | {"metric": metric}
            wanted = records.asked(names, composed.cfg)
            there = [i for i in runs if records.matches(runs[i], names, wanted)]
            matching[metric] = records.of_collection(there, runs, *here)
        ids = {i for of_metric in matching.values() for i in of_metric}
        images = wanted_images(config, [runs[i] for i in ids] or list(runs.values()))
        done, failed = counted(matching, by_run, named(config))
        found.append(
            State(
                row=cell.row.label,
                model=composed.names["model"],
                done=done if images is None else min(done, images),
                failed=failed,
                images=images,
                seconds=paced(matching, by_run),
                at_work=[beat for beat in at_work if ids & set(beat.runs)],
            )
        )
    return found


def _only(config: Config) -> Cell:
    """The one cell of a command line without an experiment."""
    names = config.names
    return Cell(Row(names["method"], names["method"]), names["model"], tuple(config.cfg.get("metric") or ()), [])


def named(config: Config) -> set[str] | None:
    """The images that the command line names; None: it names none."""
    data = config.cfg.data
    if data.get("ids") is not None:
        ids = OmegaConf.to_container(data.ids) if OmegaConf.is_config(data.ids) else [data.ids]
        return {str(image) for image in ids}
    if data.get("subset") is not None:
        return set(read_ids(Path(data.subset).expanduser()))
    return None


def wanted_images(config: Config, of: Sequence[dict]) -> int | None:
    """How many images a cell is of.  of: records, of which the first of this data says how many there are."""
    data, plan = config.cfg.data, config.cfg.get("experiment")
    there = [run["data"]["images"] for run in of if run["cell"]["data"] == config.names["data"] and run.get("data")]
    count = len(named(config) or ()) or data.get("n") or next(iter(there), None)
    of_plan = (plan or {}).get("sample") or {}
    sample = data.get("sample") or (of_plan.get(config.names["data"]) if named(config) is None else None)
    for most in (sample, data.get("limit")):
        if most is not None:
            count = most if count is None else min(count, most)
    return count


def counted(
    matching: dict[str, list[str]], by_run: dict[str, pd.DataFrame], images: set[str] | None
) -> tuple[int, int]:
    """Images that every metric has scored; others of which one has failed.  images: count only these."""
    done, failed = [], set()
    for run_ids in matching.values():
        rows = [by_run[i] for i in run_ids if i in by_run]
        done.append(_ids(rows, "ok"))
        failed |= _ids(rows, "failed") - done[-1]
    scored = set.intersection(*done) if done else set()
    failed -= scored
    return tuple(len(found if images is None else found & images) for found in (scored, failed))  # type: ignore[return-value]


def _ids(rows: Iterable[pd.DataFrame], status: str) -> set[str]:
    return {image for part in rows for image in part.loc[part["status"] == status, "image_id"]}


def paced(matching: dict[str, list[str]], by_run: dict[str, pd.DataFrame]) -> float | None:
    """Seconds an image: of the map once, where a run made it, and of scoring it by each metric. None: not all are known."""
    means = [
        pd.concat([by_run[i][SECONDS] for i in run_ids if i in by_run] or [pd.DataFrame(columns=SECONDS)]).mean()
        for run_ids in matching.values()
    ]
    if not means or any(pd.isna(of_metric[SECONDS[1]]) for of_metric in means):
        return None
    of_map = pd.Series([of_metric[SECONDS[0]] for of_metric in means], dtype=float).max()
    return float(np.nansum([of_map]) + sum(of_metric[SECONDS[1]] for of_metric in means))


def guessed(of_cells: Sequence[State]) -> list[float | None]:
    """Seconds an image of every cell; of one that is not timed a row's times a network's, as fits the timed ones best."""
    timed = [state for state in of_cells if state.seconds]
    if not timed:
        return [None] * len(of_cells)
    parts = list(dict.fromkeys(part for state in of_cells for part in _parts(state)))
    has = np.array([[part in _parts(state) for part in parts] for state in of_cells], dtype=float)
    logs = np.log([state.seconds or 1.0 for state in timed])
    effects = np.linalg.lstsq(has[[bool(s.seconds) for s in of_cells]], logs - logs.mean(), rcond=None)[0]
    return [s.seconds or float(np.exp(logs.mean() + own @ effects)) for s, own in zip(of_cells, has, strict=True)]


def _parts(state: State) -> tuple[tuple[str, str], ...]:
    return ("row", state.row), ("model", state.model)


def told(config: Config, of_cells: list[State], workers: int | None, now: float) -> Document:
    """What there is to say, as text and as a section of the page."""
    plan = config.cfg.get("experiment")
    name, title = (plan.name, plan.title) if plan else ("run", " · ".join(config.names.values()))
    seconds = guessed(of_cells)
    left = [
        None if s.missing is None or pace is None else s.missing * pace
        for s, pace in zip(of_cells, seconds, strict=True)
    ]
    at_work = {(b.host, b.pid) for state in of_cells for b in state.at_work if not b.stale(now)}
    of_images = [state.images for state in of_cells]
    every = f"{sum(n for n in of_images if n):,}" if None not in of_images else "an unknown number of"
    facts = [
        f"{datetime.datetime.fromtimestamp(now).astimezone():%d %B %Y, %H:%M}: {plural(len(of_cells), 'cell')}; "
        f"{sum(s.done for s in of_cells):,} of {every} images done, {sum(s.failed for s in of_cells):,} failed"
        + (f", {sum(s.missing or 0 for s in of_cells):,} missing." if None not in of_images else "."),
        _left(left, workers or len(at_work) or 1, workers, len(at_work)),
    ]
    if guess := sum(not s.seconds and s.missing != 0 for s in of_cells):
        facts.append(f"{plural(guess, 'cell')} not timed yet: guessed from the same row and network of others.")
    lines = [_line(s, pace, rest, now) for s, pace, rest in zip(of_cells, seconds, left, strict=True)]
    numbers = pd.DataFrame(
        [
            {"model": s.model, "row": s.row, "done": s.done, "failed": s.failed, "missing": s.missing}
            | {"seconds_an_image": pace, "seconds_left": rest}
            for s, pace, rest in zip(of_cells, seconds, left, strict=True)
        ]
    )
    columns = ["Network", "Row", "Done", "Failed", "Missing", "Images/s", "Left", "Computing"]
    table = Table("Cells", [Column(column) for column in columns], lines)
    return Document(f"status_{name}", f"How far it is: {title}", numbers, tables=[table], facts=facts)


def _left(left: list[float | None], n: int, asked: int | None, at_work: int) -> str:
    known = [rest for rest in left if rest is not None]
    if not known:
        return "Time left: not known, as nothing of it has been timed."
    who = f"{plural(n, 'worker')}{'' if asked else ', as now' if at_work else '; none is at work'}"
    least = "at least " if len(known) < len(left) else "about "
    return f"Time left: {least}{duration(sum(known) / n)} on {who}."


def _line(state: State, pace: float | None, rest: float | None, now: float) -> list[Entry]:
    rates = [beat.rate for beat in state.at_work if beat.rate and not beat.stale(now)]
    rate = sum(rates) if rates else 1 / state.seconds if state.seconds else None
    return [
        Entry(state.model),
        Entry(state.row),
        *(Entry(NOTHING if n is None else f"{n:,}", n) for n in (state.done, state.failed, state.missing)),
        Entry(NOTHING if rate is None else f"{rate:.3g}", rate),
        Entry(NOTHING if rest is None else ("" if state.seconds or not rest else "guessed ") + duration(rest), rest),
        Entry("; ".join(_at_work(beat, now) for beat in state.at_work) or NOTHING),
    ]


def _at_work(beat: Beat, now: float) -> str:
    since = f"since {datetime.datetime.fromtimestamp(beat.began).astimezone():%d %b %H:%M}"
    why = beat.stale(now)
    return f"{beat.host} (process {beat.pid}) {since}" + (f", stale: {why}" if why else "")


if __name__ == "__main__":
    command(__doc__, main)
