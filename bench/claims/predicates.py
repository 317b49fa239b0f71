"""What a claim can say, as functions of evidence: each is a name in results/published/claims.csv.

A predicate looks at every column that there is. It holds if it holds in all of them, and does not if it fails in one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.claims.evidence import Column, Evidence, Printed, sign
from bench.errors import UserError
from bench.papers import printed
from bench.report import equivalence

HOLDS, FAILS, CANNOT_TELL = "holds", "does not hold", "cannot tell"
ALWAYS = 1e-9  # printed decimals as binary fractions


@dataclass(frozen=True)
class Finding:
    """verdict: one of the three.  because: the numbers it rests on."""

    verdict: str
    because: str


Part = tuple[bool | None, str]  # of one column: it holds, it fails, or None; and why


def best(of: Evidence, label: str, what: str, table: str) -> Finding:
    """The best of its column."""

    def part(column: Column) -> Part:
        order = np.argsort(-sign(what) * column.value, kind="stable")
        others = [column.labels[i] for i in order if column.labels[i] != label]
        return _all(_better(column, label, other, what) for other in others)

    return _everywhere(of, table, what, part, label)


def beaten(of: Evidence, label: str, what: str, table: str) -> Finding:
    """In every column something is better."""

    def part(column: Column) -> Part:
        return _any([_better(column, other, label, what) for other in column.labels if other != label])

    return _everywhere(of, table, what, part, label)


def ranks(of: Evidence, label: str, what: str, table: str, place: str) -> Finding:
    """It has this place in its column, 1 the best."""

    def part(column: Column) -> Part:
        ahead = [_better(column, other, label, what)[0] for other in column.labels if other != label]
        least, most = 1 + ahead.count(True), 1 + len(ahead) - ahead.count(False)
        said = (
            f"{column.name}: {label} is number {least if least == most else f'{least} to {most}'} of {len(ahead) + 1}"
        )
        return (least == int(place) if least == most or not least <= int(place) <= most else None), said

    return _everywhere(of, table, what, part, label)


def near_best(of: Evidence, label: str, what: str, table: str, share: str) -> Finding:
    """It is worse than the best by no more than this share of the best."""

    def part(column: Column) -> Part:
        first = column.labels[int((sign(what) * column.value).argmax())]
        low, high = sorted(sign(what) * end for end in column.apart(first, label))
        allowed = float(share) * abs(column.at(first))
        said = f"{column.name}: {label} {column.at(label):.5g}, {first} {column.at(first):.5g}"
        return _within(column, high <= allowed, low > allowed), said

    return _everywhere(of, table, what, part, label)


def above(of: Evidence, a: str, b: str, what: str, table: str) -> Finding:
    """a's number is larger than b's."""
    return _everywhere(of, table, what, lambda column: _larger(column, a, b), a, b)


def below(of: Evidence, a: str, b: str, what: str, table: str) -> Finding:
    """a's number is smaller than b's."""
    return above(of, b, a, what, table)


def above_there(of: Evidence, a: str, table: str, b: str, other: str, what: str) -> Finding:
    """a's printed number in one table is larger than b's in another, network by network."""
    if not isinstance(of, Printed):
        return _only_printed()
    parts, there = [], {column.name: column for column in of.columns(other, what)}
    for column in of.columns(table, what):
        if column.name in there:
            one, two = column.at(a), there[column.name].at(b)
            parts.append((one > two, f"{column.name}: {a} {one:.5g}, {b} {two:.5g}"))
    return _over(parts)


def rises(of: Evidence, what: str, table: str) -> Finding:
    """From each setting to the next larger one the number grows."""
    return _monotone(of, what, table, 1)


def falls(of: Evidence, what: str, table: str) -> Finding:
    """From each setting to the next larger one the number shrinks."""
    return _monotone(of, what, table, -1)


def flat(of: Evidence, what: str, table: str) -> Finding:
    """No two settings are further apart than the margin of a verdict (bench/report/equivalence.py)."""
    metric, _, quantity = what.rpartition(".")

    def part(column: Column) -> Part:
        middle = float(np.median(column.value))
        allowed = equivalence.margin_of(repr(middle), metric, quantity, [middle])
        low, high = int(column.value.argmin()), int(column.value.argmax())
        least, most = column.apart(column.labels[high], column.labels[low])
        said = f"{column.name}: {column.value[low]:.5g} to {column.value[high]:.5g}, margin {allowed:.2g}"
        return _within(column, most <= allowed, least > allowed), said

    return _everywhere(of, table, what, part)


def gain(of: Evidence, label: str, others: str, what: str, table: str, kind: str, stated: str) -> Finding:
    """The mean advantage over others is what the text prints: one number for all columns, or one for each.

    others: names, or all.  kind: relative (percent), points (percentage points) or absolute.
    """
    if not isinstance(of, Printed):
        return _only_printed()
    computed, names = [], []
    for column in of.columns(table, what):
        against = [n for n in column.labels if n != label and (others == "all" or n in others.split())]
        ratio = [column.at(label) - column.at(n) for n in against]
        if kind == "relative":
            ratio = [d / column.at(n) for d, n in zip(ratio, against, strict=True)]
        computed.append((1 if kind == "absolute" else 100) * np.mean(ratio))
        names.append(column.name)
    digits = stated.split()
    if len(digits) == 1:
        computed, names = [np.mean(computed)], ["over all columns"]
    if len(computed) != len(digits):
        raise UserError(f"gain({label}; …; {table}): {len(digits)} numbers are stated for {len(computed)} columns.")
    parts = []
    for value, text, name in zip(computed, digits, names, strict=True):
        unit = 2 * printed.half_unit(text)  # of the last digit: the printed scores are rounded too
        parts.append((abs(value - float(text)) <= unit + ALWAYS, f"{name}: {value:.6g}, stated {text}"))
    return _over(parts)


def repeats(of: Evidence, label: str, table: str, again: str, other: str, what: str) -> Finding:
    """One setting has one value in two tables, to the printed digits; if one of them names no network, on any one."""
    if not isinstance(of, Printed):
        return _only_printed()
    first = [column for column in of.columns(table, what) if label in column.labels]
    second = [column for column in of.columns(other, what) if again in column.labels]
    both = [(a, b) for a in first for b in second]
    named = [(a, b) for a, b in both if a.name == b.name]
    parts: list[tuple[bool | None, str]] = []
    for a, b in named or both:
        allowed = a.half(label) + b.half(again) + ALWAYS
        same = abs(a.at(label) - b.at(again)) <= allowed
        parts.append((same, f"{b.name}: {a.at(label):.5g} and {b.at(again):.5g}"))
    return _over(parts if named or not parts else [_any(parts)])


def same(of: Evidence, table: str, other: str, what: str) -> Finding:
    """Every cell that two tables share is the same in both, to the printed digits."""
    if not isinstance(of, Printed):
        return _only_printed()
    parts, there = [], {column.name: column for column in of.columns(other, what)}
    for column in of.columns(table, what):
        if column.name in there:
            twin = there[column.name]
            shared = [n for n in column.labels if n in twin.labels]
            off = [n for n in shared if abs(column.at(n) - twin.at(n)) > column.half(n) + twin.half(n) + ALWAYS]
            said = f"{column.name}: {len(shared) - len(off)} of {len(shared)} equal"
            parts.append((not off, said + (f", not {', '.join(off)}" if off else "")))
    return _over(parts)


def distinct(of: Evidence, table: str, a: str, b: str, what: str) -> Finding:
    """Two networks' columns of a table are not copies of each other."""
    if not isinstance(of, Printed):
        return _only_printed()
    part = of.cells[(of.cells["table"] == table) & (of.cells["metric"] + "." + of.cells["quantity"] == what)]
    one, two = (part[part["model"] == model].set_index("label")["value"] for model in (a, b))
    equal = int((one == two[one.index]).sum())
    return _over([(equal < len(one), f"{equal} of {len(one)} cells are equal")])


def gaps(of: Evidence, metric: str, table: str) -> Finding:
    """Every printed GAP is insertion minus deletion, to the printed digits."""
    if not isinstance(of, Printed):
        return _only_printed()
    part = of.cells[(of.cells["table"] == table) & (of.cells["metric"] == metric) & ~of.cells["derived"]]
    wide = part.pivot(index=["model", "confidence", "label"], columns="quantity", values=["value", "half"]).dropna()
    off = (wide["value"]["insertion"] - wide["value"]["deletion"] - wide["value"]["gap"]).abs()
    wrong = int((off > wide["half"].sum(axis=1) + ALWAYS).sum())
    return _over([(wrong == 0, f"{len(wide) - wrong} of {len(wide)} are, the largest difference is {off.max():.1g}")])


def mixes(of: Evidence, table: str, split: str, metric: str) -> Finding:
    """A mean over all images lies between those of the parts that the images are split into, row by row."""
    if not isinstance(of, Printed):
        return _only_printed()
    parts = []
    for model, share in _shares(of, table, split, metric).items():
        outside = [label for label, p in share.items() if not -0.01 <= p <= 1.01]
        text = f"{model}: {len(share) - len(outside)} of {len(share)} rows do"
        parts.append((not outside, text + (f", not {', '.join(outside)}" if outside else "")))
    return _over(parts)


def one_split(
    of: Evidence, table: str, split: str, metric: str, other: str, its_split: str, its_metric: str
) -> Finding:
    """Two pairs of tables split their images in the same proportion, as they must if the images are the same."""
    if not isinstance(of, Printed):
        return _only_printed()
    parts, there = [], _shares(of, other, its_split, its_metric)
    for model, share in _shares(of, table, split, metric).items():
        here, again = np.median(list(share.values())), np.median(list(there[model].values()))
        parts.append((bool(abs(here - again) <= 0.01), f"{model}: {here:.1%} and {again:.1%} below 70 %"))
    return _over(parts)


def paced(of: Evidence, a: str, passes: str, b: str, its_passes: str, table: str, factor: str) -> Finding:
    """Two methods' images a second fit the passes of the network that they take, to within a factor."""
    if not isinstance(of, Printed):
        return _only_printed()
    parts = []
    for column in of.columns(table, "fps"):
        one, two = column.at(a) * float(passes), column.at(b) * float(its_passes)
        off = max(one / two, two / one)
        parts.append((off <= float(factor), f"{one:,.0f} passes a second of {a}, {two:,.0f} of {b}"))
    return _over(parts)


def unmeasured(of: Evidence, why: str) -> Finding:
    """No experiment decides it."""
    return Finding(CANNOT_TELL, why)


PREDICATES: dict[str, Callable[..., Finding]] = {
    function.__name__: function
    for function in (
        best, beaten, ranks, near_best, above, below, above_there, rises, falls, flat, gain, repeats, same, distinct,
        gaps, mixes, one_split, paced, unmeasured,
    )
}  # fmt: skip


def _better(column: Column, a: str, b: str, what: str) -> Part:
    return _larger(column, a, b) if sign(what) > 0 else _larger(column, b, a, said=(a, b))


def _larger(column: Column, a: str, b: str, said: tuple[str, str] | None = None) -> Part:
    low, high = column.apart(a, b)
    first, second = said or (a, b)
    text = f"{column.name}: {first} {column.at(first):.5g}, {second} {column.at(second):.5g}"
    if column.sampled:
        text += f", {a} minus {b} in [{low:.3g}, {high:.3g}]"
    return _within(column, low > ALWAYS, high < -ALWAYS), text


def _within(column: Column, holds: bool, fails: bool) -> bool | None:
    return None if not column.told or holds == fails else bool(holds)


def _monotone(of: Evidence, what: str, table: str, way: int) -> Finding:
    def part(column: Column) -> Part:
        settings = sorted(column.labels, key=lambda label: [float(number) for number in label.split()])
        steps = zip(settings[:-1], settings[1:], strict=True)
        return _all(_larger(column, *((b, a) if way > 0 else (a, b)), said=(a, b)) for a, b in steps)

    return _everywhere(of, table, what, part)


def _shares(of: Printed, table: str, split: str, metric: str) -> dict[str, dict[str, float]]:
    """{network: {row: which share of low images makes its means over all images what they are}}, by insertion."""
    found: dict[str, dict[str, float]] = {}
    parts = {column.name: column for column in of.columns(split, f"{metric}.insertion")}
    for column in of.columns(table, f"{metric}.insertion"):
        low, high = parts[f"{column.name}, low"], parts[f"{column.name}, high"]
        found[column.name] = {n: (high.at(n) - column.at(n)) / (high.at(n) - low.at(n)) for n in column.labels}
    return found


def _everywhere(of: Evidence, table: str, what: str, part: Callable[[Column], Part], *labels: str) -> Finding:
    """Of every column that has these labels."""
    columns = [column for column in of.columns(table, what) if {*labels} <= {*column.labels} and len(column.labels) > 1]
    return _over([part(column) for column in columns])


def _all(parts: Iterable[Part]) -> Part:
    """The first that fails; else the first that is open; else it holds, as the first does."""
    found = list(parts)
    for verdict in (False, None):
        for known, text in found:
            if known is verdict:
                return known, text
    return found[0]


def _any(parts: list[Part]) -> Part:
    """The first that holds; else all of them, open if one is."""
    for known, text in parts:
        if known:
            return known, text
    return (None if any(known is None for known, _ in parts) else False), "; ".join(text for _, text in parts)


def _over(parts: Sequence[tuple[bool | np.bool_ | None, str]]) -> Finding:
    """Of all columns."""
    if not parts:
        return Finding(CANNOT_TELL, "there are no such numbers")
    found = [(known if known is None else bool(known), text) for known, text in parts]
    for verdict, word in ((False, FAILS), (None, CANNOT_TELL)):
        if texts := [text for known, text in found if known is verdict]:
            return Finding(word, "; ".join(texts))
    return Finding(HOLDS, "; ".join(text for _, text in found))


def _only_printed() -> Finding:
    return Finding(CANNOT_TELL, "this is asked of printed numbers alone")
