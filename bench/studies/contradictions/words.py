"""A number beside the control `random`, with an interval, and in words what does not separate.

Means and differences are over the same images, or, where images come in classes, over classes. The differences of one
column are tested together from 15 units on and each alone, by Student's t, below (bench/report/marks.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bench.report import intervals, marks
from bench.report.standing import EQUAL, UNDECIDED
from bench.report.table import estimate, number

RANDOM = "random"
Scores = Mapping[str, np.ndarray]  # [n] of each map


class Finding(NamedTuple):
    """What is measured, what comes out, and what that says."""

    what: str
    measured: str
    said: str = ""


def mean(values: np.ndarray, classes: np.ndarray | None, draws: int, digits: int = 3) -> str:
    """'0.143 ± 0.021'. values [n]; classes [n] of the images, None: each is one of its own."""
    low, high = intervals.interval(values[:, None], classes, draws=draws)[:, 0]
    return estimate(float(values.mean()), low, high, digits)


def compared(
    what: str,
    columns: Sequence[Scores],
    apart: Sequence[tuple[str, str]] = (),
    *,
    classes: np.ndarray | None,
    draws: int,
    digits: int = 3,
) -> Iterator[Finding]:
    """A line for each map, then one for each pair of maps whose difference is told.

    columns: of each quantity the scores of all maps; a map called `random` is the control.  apart: the pairs.
    """
    names = list(columns[0])
    tested = [marks.pairs(np.column_stack([of[name] for name in names]), classes) for of in columns]
    for k, name in enumerate(names):
        means = " / ".join(mean(of[name], classes, draws, digits) for of in columns)
        said = ""
        if RANDOM in names:
            against = names.index(RANDOM)
            said = " / ".join(
                f"{difference(pairs, k, against, digits)}: {beside_random(pairs, k, against)}" for pairs in tested
            )
        yield Finding(f"{what}: {name}", means, "the control" if name == RANDOM else said)
    for one, other in apart:
        i, j = names.index(one), names.index(other)
        yield Finding(
            f"{what}: {one} less {other}",
            " / ".join(difference(pairs, i, j, digits) for pairs in tested),
            " / ".join(of_two(pairs, i, j) for pairs in tested),
        )


def difference(pairs: marks.Pairs, i: int, j: int, digits: int) -> str:
    """'+0.119 [0.050, 0.190]'; without an interval of a single unit."""
    middle, reach = pairs.difference[i, j], pairs.reach[i, j]
    text = number(middle, "+", digits)
    return (
        text
        if np.isnan(reach)
        else f"{text} [{number(middle - reach, digits=digits)}, {number(middle + reach, digits=digits)}]"
    )


def beside_random(pairs: marks.Pairs, k: int, control: int) -> str:
    """In words; never that two are level."""
    word = of_two(pairs, k, control)
    return {EQUAL: "equals random", UNDECIDED: "does not separate from random"}.get(word, f"{word} random")


def of_two(pairs: marks.Pairs, i: int, j: int) -> str:
    """'above', 'below', 'equal', or 'cannot tell': the interval holds 0, or there is none."""
    apart, reach = pairs.difference[i, j], pairs.reach[i, j]
    if apart == 0:
        return EQUAL
    if not abs(apart) > reach:
        return UNDECIDED
    return "above" if apart > 0 else "below"
