"""Is a measured mean the published one? By equivalence: agreement has to be shown, it is not what is left over.

    agrees        the 90 % interval of measured minus published lies inside the margin
    differs       it lies outside
    cannot tell   anything else, "at this n"
    cannot fail   in place of agrees, where all printed values of the column lie within one margin of each other; below its
                  table that is said of such a column whatever its verdicts are
    design only   no verdict: network, weights, input size or data are not the table's, or there are too few images

The interval knows where the published mean comes from. Its images are others: both means have a sampling error, and the
published one's is taken to be ours per image. Its images are ours: only what rounding and seeds move is left, and, while we
have but n of its N, the error of a sample of n from N. All of that is  se^2 (1 + n/N)  or  se^2 (1 - n/N) + noise^2.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from scipy import stats

from bench.report.intervals import FEW, standard_error
from bench.text import plural

AGREES, DIFFERS, CANNOT_TELL, CANNOT_FAIL, DESIGN_ONLY = (
    "agrees",
    "differs",
    "cannot tell",
    "cannot fail",
    "design only",
)
LEVEL = 0.90  # two one-sided tests at 5 % (Schuirmann 1987)
MINIMUM = 100  # images; with fewer, skewed scores are said to differ too often (docs/statistics.md)
PUBLISHED_IMAGES = 1000  # N, of all three papers
CONDITIONS = ("network", "weights", "input size", "data")  # what must be the table's
MARGINS: dict[tuple[str, str], tuple[float, float]] = {  # (metric, quantity): share of the printed value, floor
    ("kl", "insertion"): (0.02, 0.05),  # nats; the methods of a column lie within 8 to 11
    ("kl", "deletion"): (0.02, 0.05),
    ("kl", "gap"): (0.05, 0.05),
    ("infidelity", "score"): (0.10, 0.01),
    ("", "deletion"): (0.05, 0.002),  # probabilities: printed values begin at 0.01
    ("", "insertion"): (0.05, 0.003),
    ("", "gap"): (0.05, 0.003),
}


@dataclass(frozen=True)
class Verdict:
    """What is said of one printed cell. low, high: the 90 % interval of measured minus published; NaN if none."""

    word: str
    low: float = math.nan
    high: float = math.nan
    margin: float = math.nan
    why: str = ""  # of design only

    def __str__(self) -> str:
        if self.word == DESIGN_ONLY:
            return f"{self.word}: {self.why}"
        return f"{self.word} at this n" if self.word == CANNOT_TELL else self.word


def judge(
    values: np.ndarray,
    published: str,
    *,
    metric: str,
    quantity: str,
    column: Sequence[float],
    same_images: bool,
    withheld: str = "",
    groups: np.ndarray | None = None,
    published_images: int = PUBLISHED_IMAGES,
    noise: float = 0.0,
    minimum: int = MINIMUM,
) -> Verdict:
    """values [n]: our images' numbers.  published: the printed digits.  column: all printed values of its column.

    same_images: ours are among the published ones.  withheld: why there is no verdict (`withholding` says).
    groups [n]: classes.  noise: the standard deviation that rounding and seeds give to the mean, in its unit.
    """
    margin = margin_of(published, metric, quantity, column)
    units = len(values) if groups is None else len(np.unique(groups))
    if not withheld and len(values) < minimum:
        withheld = f"{plural(len(values), 'image')}, a verdict takes {minimum}"
    if not withheld and units < FEW:
        withheld = f"images of {plural(units, 'class')}, a verdict takes {FEW}"
    if withheld:
        return Verdict(DESIGN_ONLY, margin=margin, why=withheld)
    error = float(standard_error(values[:, None], groups)[0])
    share = len(values) / published_images
    variance = error**2 * (max(0.0, 1 - share) if same_images else 1 + share) + noise**2
    reach = stats.t.ppf((1 + LEVEL) / 2, units - 1) * math.sqrt(variance) + printed_to(published)
    difference = values.mean() - float(published)
    low, high = difference - reach, difference + reach
    return Verdict(_word(low, high, margin, cannot_fail(column, metric, quantity)), low, high, margin)


def margin_of(published: str, metric: str, quantity: str, column: Sequence[float]) -> float:
    """How far a mean may be from the printed one and be the same, for the purpose of telling methods apart: a share of the
    printed value with a floor, and never more than half of what typically parts two rows of the column.
    """
    margin = _uncapped(float(published), metric, quantity)
    if cannot_fail(column, metric, quantity):
        return margin
    return min(margin, separation(column) / 2)


def rule(column: Sequence[float], metric: str, quantity: str) -> str:
    """In words, how large the margin of each cell of a column is."""
    share, floor = _margin(metric, quantity)
    said = f"{100 * share:g} % of the printed value, no less than {floor:g}"
    if cannot_fail(column, metric, quantity) or math.isinf(most := separation(column) / 2):
        return said
    return f"{said} and no more than {most:.2g}, half of what parts two rows"


def spread(column: Sequence[float]) -> float:
    """From the lowest to the highest printed value; NaN if there is none."""
    values = _known(column)
    return float(np.ptp(values)) if len(values) else math.nan


def separation(column: Sequence[float]) -> float:
    """The median distance of two rows of a column; infinite if there are no two."""
    values = _known(column)
    pairs = np.triu_indices(len(values), 1)
    return float(np.median(np.abs(values[:, None] - values)[pairs])) if len(values) > 1 else math.inf


def cannot_fail(column: Sequence[float], metric: str, quantity: str) -> bool:
    """Whether all printed values of a column lie within one margin: then any of its rows would agree with any other."""
    values = _known(column)
    return len(values) > 1 and spread(values) <= _uncapped(float(np.median(values)), metric, quantity)


def withholding(table: Mapping[str, str | None], ours: Mapping[str, str | None]) -> str:
    """Why a table's cell gets no verdict: which conditions are not the table's. Empty if all are.

    Both: {one of CONDITIONS: what it is}. A condition that the table does not state is not the table's: unknown.
    """
    differing = [key for key in CONDITIONS if table.get(key) is None or table[key] != ours.get(key)]
    return f"another {', '.join(differing)} than the table's" if differing else ""


def printed_to(digits: str) -> float:
    """Half of the last printed digit's unit."""
    return 0.5 * 10.0 ** Decimal(digits).as_tuple().exponent


def _margin(metric: str, quantity: str) -> tuple[float, float]:
    """Share of the printed value, floor."""
    return MARGINS.get((metric, quantity)) or MARGINS.get(("", quantity)) or (0.05, 0.0)


def _uncapped(value: float, metric: str, quantity: str) -> float:
    share, floor = _margin(metric, quantity)
    return max(share * abs(value), floor)


def _known(column: Sequence[float]) -> np.ndarray:
    values = np.asarray(column, dtype=float)
    return values[~np.isnan(values)]


def _word(low: float, high: float, margin: float, certain: bool) -> str:
    if -margin < low and high < margin:
        return CANNOT_FAIL if certain else AGREES
    return DIFFERS if low > margin or high < -margin else CANNOT_TELL
