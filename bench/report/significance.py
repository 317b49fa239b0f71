"""Which rows of a column are told apart by the images, and how like the published ranking the measured one is.

Paired over the same images throughout: the difference of two methods on an image is what is tested.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations, product

import numpy as np
import pandas as pd

from bench.report import intervals, marks, means
from bench.report.quantities import SPEED, in_words
from bench.store import records
from bench.text import plural
from metrics.quantities import Quantity

COLUMN = ["data", "model", "metric", "confidence"]  # of a table; with a quantity, one column of it


def tau_b(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of rankings a [..., M] and b [M], with ties; NaN where one of them has nothing but ties."""
    i, j = np.triu_indices(len(b), k=1)
    s, t = np.sign(a[..., i] - a[..., j]), np.sign(b[i] - b[j])
    with np.errstate(invalid="ignore"):
        return (s * t).sum(axis=-1) / np.sqrt((s != 0).sum(axis=-1) * (t != 0).sum())


def tau_range(
    scores: np.ndarray, b: np.ndarray, classes: np.ndarray | None = None, *, draws: int = marks.DRAWS
) -> tuple[float, float] | None:
    """Between what tau-b of the true means and b [M] lies, with 95 % confidence at least. None: too few units to tell.

    scores [n, M]: over the same images. Pairs of rows that the images tell apart (marks.py, all at once) count as they
    stand, each of the others may turn out either way. Resampled taus would hold the truth far too seldom: noise takes
    from tau what resampling, more noise, takes once more (docs/statistics.md).
    """
    i, j = np.triu_indices(len(b), k=1)
    of = marks.pairs(scores, classes, draws=draws)
    if not of.told:
        return None
    told = np.sign(of.difference[i, j]) * (np.abs(of.difference[i, j]) > of.reach[i, j])
    t = np.sign(b[i] - b[j])
    known, unknown, norm = (told * t).sum(), (t[told == 0] != 0).sum(), np.sqrt(len(t) * (t != 0).sum())
    return (known - unknown) / norm, (known + unknown) / norm


def agreement(scores: np.ndarray, published: np.ndarray, classes: np.ndarray | None) -> str:
    """Tau-b of the ranking by the means of scores [n, M] and the published one [M], and its interval: 0.82 [0.60, 1.00].

    Empty: one of them has nothing but ties.
    """
    tau = tau_b(scores.mean(axis=0), published)
    if np.isnan(tau):
        return ""
    between = tau_range(scores, published, classes)
    return f"{tau:.2f}, no interval at this n" if between is None else f"{tau:.2f} [{between[0]:.2f}, {between[1]:.2f}]"


def compare(
    numbers: pd.DataFrame,
    rows: pd.DataFrame,
    runs: Mapping[str, dict],
    threshold: float,
    labels: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, dict]:
    """`numbers` with a column `standing`, and {(data, model, metric, confidence): the lines under that table}.

    standing: best, the row of the best mean; level, with it in the best set (bench/report/marks.py); else empty. Only rows
    over the same images under the same conditions have one, if those are enough. numbers: means.measure's, with row and
    published. rows: load_rows's. runs: their records. labels: {run_id: what tells it from another run of the same cell}.
    """
    standings, footers = pd.Series("", index=numbers.index), {}
    images, conditions = means.by_image(rows), records.conditions_of(numbers["run_id"], runs)
    for (*column, quantity), part in numbers.groupby([*COLUMN, "quantity"], sort=False):
        measured = part[part["n"] > 0]
        kind = part["kind"].iloc[0]
        if (
            len(measured) < 2 or quantity == SPEED or not kind.sign
        ):  # seconds are the machine's, not a sample over images
            continue
        label = {k: (labels or {}).get(run) for k, run in measured["run_id"].items()}
        measured = measured.assign(row=[f"{r} ({label[k]})" if label[k] else r for k, r in measured["row"].items()])
        under = {k: conditions[run] for k, run in measured["run_id"].items()}
        scores = means.side_by_side(images, measured["run_id"], quantity, kind, column[3], threshold)
        groups = comparable(scores, under)
        lines = footers.setdefault(tuple(column), [])
        lines += [line for line in _apart(measured, scores, groups, under) if line not in lines]
        for group in groups:
            if len(group) > 1:
                shared = scores[group].dropna()
                of = means.classes_of(images[measured["run_id"][group[0]]], shared.index)
                standing, said = _compared(measured.loc[group], shared, kind, of, len(measured))
                standings.update(pd.Series(standing, dtype="object"))
                lines += [line for line in said if line not in lines]
    return numbers.assign(standing=standings), footers


def comparable(scores: pd.DataFrame, under: Mapping[object, Mapping[str, str]] | None = None) -> list[list]:
    """Rows in groups, each of one set of conditions and with at least half of its largest row's images in common.

    scores: a column per row, by image, NaN where it has none. under: {row: its conditions}; None: all are the same.
    """
    under = dict.fromkeys(scores, {}) if under is None else under
    there = _there(scores)
    if len(scores) and all(mask.all() for mask in there.values()) and _alike(under[k] for k in scores):
        return [list(scores)]  # as is usual, and found at once
    groups: list[list] = []
    of_all: list[np.ndarray] = []  # of each group, which images all its rows have
    for k in sorted(scores, key=lambda k: -there[k].sum()):
        for n, group in enumerate(groups):
            both = of_all[n] & there[k]
            shared = both.sum()
            if under[k] == under[group[0]] and shared and 2 * shared >= there[group[0]].sum():
                group.append(k)
                of_all[n] = both
                break
        else:
            groups.append([k])
            of_all.append(there[k])
    place = {k: n for n, k in enumerate(scores)}
    return sorted((sorted(group, key=place.__getitem__) for group in groups), key=lambda group: place[group[0]])


def _there(scores: pd.DataFrame) -> dict:
    """{row: which images it has, bool [images]}."""
    return dict(zip(scores, scores.notna().to_numpy().T, strict=True))


def _alike(conditions: Iterable[Mapping[str, str]]) -> bool:
    return len({tuple(sorted(of.items())) for of in conditions}) == 1


def _apart(measured: pd.DataFrame, scores: pd.DataFrame, groups: list[list], under: Mapping) -> list[str]:
    """Which rows are set side by side, where it is not all of them over all of their images."""
    lines, there = [], _there(scores)
    if len(groups) > 1:
        keys = sorted({key for k in scores for key in under[k]})
        differing = [key for key in keys if len({under[k].get(key) for k in scores}) > 1]
        most = max((there[a] & there[b]).sum() for x, y in combinations(groups, 2) for a, b in product(x, y))
        why = f"they differ in {', '.join(differing)}" if differing else f"they share {plural(most, 'image')} at most"
        names = " | ".join(", ".join(measured["row"][group]) for group in groups)
        lines.append(f"Rows of different groups are not compared: {names}; {why}. Marks and tests hold within a group.")
    for group in groups:
        masks = [there[k] for k in group]
        shared = np.logical_and.reduce(masks).sum()
        if shared < max(mask.sum() for mask in masks):
            names = "all rows" if len(groups) == 1 else ", ".join(measured["row"][group])
            lines.append(f"Marks and tests are over the {plural(shared, 'image')} that {names} share.")
    return lines


def _compared(
    measured: pd.DataFrame, scores: pd.DataFrame, kind: Quantity, classes: np.ndarray | None, everybody: int
) -> tuple[dict[object, str], list[str]]:
    """{row: its standing} of rows over the same images, and what is to be said of them.

    scores: without NaN.  everybody: how many rows the table has.
    """
    of = marks.mark(scores.to_numpy(), kind.sign, classes)
    lines = _ranking(measured, scores, kind, classes)
    if not of.marked:
        units = plural(len(scores), "image") if classes is None else f"images of {len({*classes})} classes"
        who = "Nothing is marked" if len(measured) == everybody else f"No marks among {', '.join(measured['row'])}"
        return {}, [*lines, f"{who}: {units}, a mark takes {intervals.FEW}."]
    names = ["best" if k == of.first else "level" if best else "" for k, best in enumerate(of.best)]
    order = np.argsort(-kind.sign * scores.mean().to_numpy(), kind="stable")
    second = next(k for k in order if k != of.first)
    if of.needed[second] > len(scores):  # NaN: it is told from the first, or equals it
        a, b = measured["row"].iloc[of.first], measured["row"].iloc[second]
        needed = plural(int(of.needed[second]), "image")
        lines.append(f"To tell {a} from {b} by {in_words(kind)}: about {needed}; here {len(scores):,}.")
    return dict(zip(scores, names, strict=True)), lines


def _ranking(measured: pd.DataFrame, scores: pd.DataFrame, kind: Quantity, classes: np.ndarray | None) -> list[str]:
    """The line that sets the measured ranking beside the published one, if there are three rows of both."""
    both = measured.index[measured["published"].notna()]
    if len(both) < 3 or not len(scores):
        return []
    published = measured.loc[both, "published"].astype(float).to_numpy()
    said = agreement(scores[both].to_numpy(), published, classes)
    return [f"Kendall's τ-b of measured and published {in_words(kind)}, {len(both)} rows: {said}."] if said else []
