"""Measure what docs/contradictions.md tells:

    python scripts/measure_contradictions.py model=resnet50 data=folder data.root=DIR [entries=9,12] [steps=14]

Takes what `bench.run` takes; without anything, the tiny network on 16 drawn images. Prints a table: the number of the
entry in docs/contradictions.md, what is measured, what comes out, of the printed tables or on this network, and what that
says. Scores stand beside those of the control `random`. They and their differences have 95 % intervals, over the images
or, where these come in classes, the classes. Where that of a difference holds 0, it "does not separate from random", or,
between two methods, "cannot tell".

    entries=9,12   these entries alone; without it all, some 10,000 passes an image, nine tenths of them entries 11 to 17
    steps=14       frames of a game, insertion or deletion; 32 if it is not said

What it will cost is said first. For entry 9 AGI is run with 3 classes of 4 steps.
"""

import sys
from collections.abc import Iterator

from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.running.job import open_job
from bench.studies import study
from bench.studies.contradictions import cost, tables
from bench.studies.contradictions.entries import OF_A_NETWORK
from bench.studies.contradictions.sight import STEPS, look
from bench.studies.contradictions.words import Finding
from bench.text import plural

IMAGES = 16  # unless data.limit says otherwise
MEASURED = tuple(sorted({*tables.NUMBERS, *OF_A_NETWORK}))


def main(overrides: list[str]) -> None:
    chosen, overrides = entries(overrides)
    steps, overrides = frames(overrides)
    of_a_network = [number for number in OF_A_NETWORK if number in chosen]
    where, found = "the printed tables", of_the_tables(chosen)
    if of_a_network:
        job = open_job(load([f"data.limit={IMAGES}", "metric=[infidelity]", *overrides]))
        print(cost.said(job, of_a_network, steps), file=sys.stderr, flush=True)
        names, images = job.config.names, plural(len(job.ids), "image")
        where = f"{names['model']}, {images} of {names['data']}, games of {plural(steps, 'frame')}"
    print(f"| # | {where} | measured here | which says |\n| --- | --- | --- | --- |")
    show(found)
    if of_a_network:
        sight = look(job, steps)
        show((number, finding) for number in of_a_network for finding in OF_A_NETWORK[number](sight))


def entries(overrides: list[str]) -> tuple[set[int], list[str]]:
    """Which are measured, and the command line without it. UserError: there is nothing to measure of one."""
    named, rest = study.listed(overrides, "entries", tuple(map(str, MEASURED)))
    if strange := [name for name in named if name not in map(str, MEASURED)]:
        raise UserError(
            f"entries={strange[0]}: nothing is measured of it; expected some of {', '.join(map(str, MEASURED))}."
        )
    return {int(name) for name in named}, rest


def frames(overrides: list[str]) -> tuple[int, list[str]]:
    """How many a game has, and the command line without it. UserError: that is no number of frames."""
    given, rest = study.listed(overrides, "steps", (str(STEPS),))
    if not (len(given) == 1 and given[0].isdecimal() and int(given[0])):
        raise UserError(f"steps={','.join(given)}: expected a number of frames, 1 or more.")
    return int(given[0]), rest


def of_the_tables(chosen: set[int]) -> Iterator[tuple[int, Finding]]:
    return ((number, finding) for number, finding in tables.of_the_tables() if number in chosen)


def show(found: Iterator[tuple[int, Finding]]) -> None:
    for number, finding in found:
        print(f"| {number} | {finding.what} | {finding.measured} | {finding.said} |", flush=True)


if __name__ == "__main__":
    command(__doc__, main)
