"""A profile as a document: efficiency, processes of their own, growth."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.profile import drift
from bench.profile.alone import Alone
from bench.profile.alternating import Spread, ratio
from bench.profile.floor import PASSES, Counts
from bench.profile.growth import AXES, Grown
from bench.profile.modes import Compared
from bench.profile.subjects import Subject
from bench.report.document import Document
from bench.report.table import NOTHING, Column, Entry, Table, columns

MIB = 2**20
LEAST = (
    "Milliseconds are medians, an image's share of its pass. Efficiency is that of the least seconds, since nothing makes a "
    "work faster than it is; in brackets the median and both ends of what each round says."
)


@dataclass(frozen=True)
class Measured:
    """A subject's seconds in each round, and those of the floor beside it."""

    subject: Subject
    counts: Counts  # passes, in images, of all images of a pass
    images: int
    width: int  # of the floor's passes
    seconds: list[float]
    floor: list[float]
    passes: dict[str, list[float]]  # of the floor, a pass of `width` images

    @property
    def efficiency(self) -> tuple[float, Spread] | None:
        """floor / measured; None where the network is not asked."""
        return ratio(self.floor, self.seconds) if any(self.floor) else None


def document(
    measured: list[Measured], alone: Mapping[str, Alone], grown: list[Grown], modes: Compared | None, facts: list[str]
) -> Document:
    tables = [_floor(measured), _efficiency(measured)]
    tables += drift.tables(modes) if modes else []
    tables += [_alone(alone)] if alone else []
    tables += [_growth(grown)] if grown else []
    return Document("profile", "Profile", numbers(measured, alone, grown, modes), tables, facts)


def numbers(
    measured: list[Measured], alone: Mapping[str, Alone], grown: list[Grown], modes: Compared | None
) -> pd.DataFrame:
    """One number a line: subject, quantity, and at which size of which axis or in which mode, if any."""
    lines: list[dict] = []

    def add(subject: str, quantity: str, value: float, axis: str = "", size: float = float("nan")) -> None:
        lines.append({"subject": subject, "quantity": quantity, "axis": axis, "size": size, "value": float(value)})

    for one in measured:
        name = str(one.subject)
        add(name, "forward_passes", one.counts.forward / one.images)
        add(name, "backward_passes", one.counts.backward / one.images)
        for what, seconds in (("floor", one.floor), ("measured", one.seconds)):
            spread = Spread.of(seconds)
            for end in ("median", "low", "high"):
                add(name, f"{what}_seconds_{end}", getattr(spread, end) / one.images)
        if one.efficiency:
            add(name, "efficiency", one.efficiency[0])
            for end in ("median", "low", "high"):
                add(name, f"efficiency_{end}", getattr(one.efficiency[1], end))
    for name, process in alone.items():
        add(name, "start_seconds", process.start)
        for batches, peak in enumerate(process.peaks, 1):
            add(name, "peak_bytes", peak, "batches", batches)
    for axis, curve in ((curve.axis, curve) for curve in grown):
        for size, least in zip(axis.sizes, curve.seconds, strict=True):
            add(axis.subject, "seconds", least, axis.name, size)
        add(axis.subject, "exponent", curve.exponent, axis.name)
    lines += drift.numbers(modes) if modes else []
    return pd.DataFrame(lines)


def _floor(measured: list[Measured]) -> Table:
    rows = []
    for name in PASSES:
        spread = Spread.of([second / one.width for one in measured for second in one.passes[name]])
        rows.append([Entry(name), *(_ms(value) for value in (spread.median, spread.low, spread.high))])
    return Table("Floor: milliseconds an image", columns("Pass of the network", "median", "least", "most"), rows)


def _efficiency(measured: list[Measured]) -> Table:
    rows = []
    for one in measured:
        passes = [Entry(f"{n / one.images:.3g}", n / one.images) for n in (one.counts.forward, one.counts.backward)]
        times = [_ms(Spread.of(seconds).median / one.images) for seconds in (one.floor, one.seconds)]
        rows.append([Entry(str(one.subject)), *passes, *times, _efficient(one)])
    names = ("forward", "backward", "floor, ms", "measured, ms")
    return Table("Efficiency", [Column(""), *columns(*names), Column("efficiency", "high")], rows, below=[LEAST])


def _efficient(one: Measured) -> Entry:
    if one.efficiency is None:
        return Entry(NOTHING)
    best, spread = one.efficiency
    return Entry(f"{best:.2f} ({spread.median:.2f}; {spread.low:.2f} to {spread.high:.2f})", best)


def _alone(alone: Mapping[str, Alone]) -> Table:
    rows = []
    for name, process in alone.items():
        first, last = (process.peaks[0], process.peaks[-1]) if process.peaks else (0, 0)
        several = len(process.peaks) > 1 and first > 0
        grows = Entry(f"{last / first - 1:+.1%}", last / first) if several else Entry(NOTHING)
        peak = Entry(f"{last / MIB:,.0f}", last / MIB) if last else Entry(NOTHING)
        rows.append([Entry(name), Entry(f"{process.start:.1f}", process.start), peak, grows])
    below = ["Growth of the peak: after the last batch, of four if there are as many images, against after the first."]
    names = ("start, s", "peak, MiB", "growth of the peak")
    return Table("In a process of its own", columns("", *names), rows, below=below)


def _growth(grown: list[Grown]) -> Table:
    subjects = dict.fromkeys(one.axis.subject for one in grown)
    found = {(one.axis.subject, one.axis.name): one for one in grown}
    rows = []
    for subject in subjects:
        exponents = [found.get((subject, axis)) for axis in AXES]
        rows.append(
            [Entry(subject), *(Entry(f"{e.exponent:.2f}", e.exponent) if e else Entry(NOTHING) for e in exponents)]
        )
    below = [
        "e of seconds = c · n^e, fitted to the least seconds of three sizes: 1 is twice as long for twice as many."
    ]
    return Table("How cost grows: exponents", columns("", *AXES), rows, below=below)


def _ms(seconds: float) -> Entry:
    return Entry(f"{1000 * seconds:.2f}", 1000 * seconds)
