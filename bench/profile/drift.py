"""What a faster mode changes: each score, and which of two methods has the better one."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.profile.alternating import ratio
from bench.profile.modes import OF_SCORE, Compared, Scores
from bench.report.table import NOTHING, Column, Entry, Table, columns

BELOW = [
    "Beside fp32 by torch, batch norms as they were learnt. A method's score is its mean over the images; pairs are of "
    "methods, by that mean, and by each image alone. Images that failed in either are left out."
]


@dataclass(frozen=True)
class Drift:
    """Of one number of a metric, over all methods."""

    metric: str
    quantity: str
    plain: pd.Series  # the mean of each method
    mode: pd.Series
    of_image: pd.Series  # by method, the largest change of an image's score
    of_image_mean: float  # over all methods and images
    images: int  # that were scored by all methods in both
    swapped: int  # of the pairs of methods, those whose order by the mean is another one
    pairs: int
    swapped_images: float  # of pairs on single images, the share whose order is another one; NaN: there is no pair

    @property
    def of_mean(self) -> float:
        """The largest change of a method's mean."""
        return float((self.mode - self.plain).abs().max())


def drifts(plain: pd.DataFrame, mode: pd.DataFrame) -> Iterator[Drift]:
    """For each number of each metric that all methods have of some image.

    plain, mode: [image, (method, metric, quantity)] of the same images, NaN: failed.
    """
    for metric, quantity in dict.fromkeys(column[1:] for column in plain.columns):
        before, after = (_of(scores, metric, quantity) for scores in (plain, mode))
        whole = (before.notna() & after.notna()).all(axis=1)
        if not whole.any():
            continue
        before, after = before[whole], after[whole]
        means, changes = (before.mean(), after.mean()), (after - before).abs()
        swapped = _orders(means[0].to_numpy()[None]) != _orders(means[1].to_numpy()[None])
        of_images = _orders(before.to_numpy()) != _orders(after.to_numpy())
        yield Drift(
            metric,
            quantity,
            *means,
            of_image=changes.max(),
            of_image_mean=float(changes.to_numpy().mean()),
            images=int(whole.sum()),
            swapped=int(swapped.sum()),
            pairs=swapped.size,
            swapped_images=float(of_images.mean()) if of_images.size else float("nan"),
        )


def tables(found: Compared) -> list[Table]:
    rows, detail = [], []
    for mode in found.modes:
        for drift in drifts(found.plain.values, mode.scores.values):
            name = Entry(f"{drift.metric} {drift.quantity}")
            rows.append([Entry(mode.name), name, small(drift.of_mean), small(drift.of_image.max()), *swaps(drift)])
            for method, mean in drift.plain.items():
                change, worst = drift.mode[method] - mean, drift.of_image[method]
                values = (Entry(f"{mean:.6f}", mean), Entry(f"{change:+.1e}", change), small(worst))
                detail.append([Entry(mode.name), name, Entry(str(method)), *values])
    names = ("score", "method", "mean in fp32", "change of the mean", "largest change of an image")
    drifting = [
        Table("What faster modes change", columns("Mode", *NAMES), rows, below=[*BELOW, *_seen(found)]),
        Table("What faster modes change, by method", columns("Mode", *names), detail, folded=True),
    ]
    return [*(drifting if rows else []), *([_speeds(found)] if found.modes else [])]


NAMES = (
    "score",
    "largest change of a method's mean",
    "largest change of an image",
    "pairs of methods that change places",
    "the same, image by image",
)


def numbers(found: Compared) -> list[dict]:
    """One number a line, as a profile has them: its axis is the mode."""
    lines: list[dict] = []

    def add(mode: str, subject: str, quantity: str, value: float) -> None:
        lines.append({"subject": subject, "quantity": quantity, "axis": f"mode {mode}", "value": float(value)})

    for mode in found.modes:
        for drift in drifts(found.plain.values, mode.scores.values):
            score = f"metric {drift.metric} {drift.quantity}"
            for method in drift.plain.index:
                subject = f"{score}, method {method}"
                add(mode.name, subject, "mean_fp32", drift.plain[method])
                add(mode.name, subject, "mean", drift.mode[method])
                add(mode.name, subject, "largest_change_of_an_image", drift.of_image[method])
            add(mode.name, score, "images", drift.images)
            add(mode.name, score, "pairs", drift.pairs)
            add(mode.name, score, "pairs_swapped", drift.swapped)
            add(mode.name, score, "pairs_swapped_by_image", drift.swapped_images)
        add(mode.name, "network", "images_of_another_class", changed(found.plain, mode.scores))
        for subject, seconds in mode.seconds.items():
            best, spread = ratio(mode.plain[subject], seconds)
            for end, value in {
                "": best,
                **{f"_{end}": getattr(spread, end) for end in ("median", "low", "high")},
            }.items():
                add(mode.name, subject, f"times_as_fast{end}", value)
    return lines


def changed(plain: Scores, mode: Scores) -> int:
    """Images that the network takes for another class."""
    return sum(a != b for a, b in zip(plain.seen, mode.seen, strict=True))


def _of(scores: pd.DataFrame, metric: str, quantity: str) -> pd.DataFrame:
    """[image, method] of one number."""
    return scores.xs((metric, quantity), axis=1, level=OF_SCORE[1:])


def _orders(scores: np.ndarray) -> np.ndarray:
    """For each pair of methods which is higher: -1, 0 or 1.  [n, methods] -> [n, pairs]."""
    first, second = np.triu_indices(scores.shape[1], k=1)
    return np.sign(scores[:, first] - scores[:, second])


def swaps(drift: Drift) -> list[Entry]:
    if not drift.pairs:
        return [Entry(NOTHING), Entry(NOTHING)]
    share = drift.swapped_images
    alone = Entry(NOTHING) if np.isnan(share) else Entry(f"{share:.1%}", share)
    return [Entry(f"{drift.swapped} of {drift.pairs}", float(drift.swapped)), alone]


def small(value: float) -> Entry:
    return Entry(NOTHING) if np.isnan(value) else Entry(f"{value:.1e}", float(value))


def _seen(found: Compared) -> list[str]:
    """Of the classes that the network sees."""
    told = {mode.name: changed(found.plain, mode.scores) for mode in found.modes}
    said = ", ".join(f"{name} {n}" for name, n in told.items() if n)
    return [f"Images that are taken for another class, of {len(found.plain.seen)}: {said or 'none in any mode'}."]


def _speeds(found: Compared) -> Table:
    """How many times as fast each subject is."""
    rows = []
    for subject in found.modes[0].seconds:
        entries = []
        for mode in found.modes:
            best, spread = ratio(mode.plain[subject], mode.seconds[subject])
            entries.append(Entry(f"{best:.2f} ({spread.median:.2f}; {spread.low:.2f} to {spread.high:.2f})", best))
        rows.append([Entry(subject), *entries])
    below = [
        "Times as fast as fp32 by torch: of the least seconds, in brackets the median and both ends of what rounds say."
    ]
    header = [Column(""), *(Column(mode.name, "high") for mode in found.modes)]
    return Table("How fast they are", header, rows, below=below)
