"""What a reader of a run's numbers should know: what failed, which maps are odd."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.running.attribution import TOLERANCE
from bench.running.runner import Progress
from bench.text import plural

SHOWN = 3  # reasons for failure


@dataclass
class Remarks:
    """What a run has found odd so far."""

    method: str
    failed: dict[str, str] = field(default_factory=dict)
    missed: dict[str, float] = field(default_factory=dict)
    constant: list[str] = field(default_factory=list)

    def add(self, progress: Progress) -> None:
        self.failed |= progress.failed
        self.missed |= progress.missed
        self.constant += progress.constant

    def lines(self) -> list[str]:
        found = []
        if self.missed:
            image, most = max(self.missed.items(), key=lambda item: item[1])
            found.append(
                f"{self.method}: the sums of {plural(len(self.missed), 'map')} are more than {TOLERANCE:.0%} off what the "
                f"method promises; the most, {most:.0%}, on {image} (column completeness_gap)."
            )
        if self.constant:
            found.append(
                f"{self.method}: the same everywhere: {plural(len(self.constant), 'map')}, {self.constant[0]}'s for one. "
                "Its score is that of the order in which ties are taken, not of a method."
            )
        return found


def failures(failed: Mapping[str, str]) -> str:
    """How many images failed, and why: each reason once, with how many it struck and one of them."""
    reasons = Counter(failed.values())
    first = {why: next(image for image, reason in failed.items() if reason == why) for why in reasons}
    told = "; ".join(
        f"{first[why]}{f' and {n - 1} more' if n > 1 else ''}: {why}" for why, n in reasons.most_common(SHOWN)
    )
    more = f"; and {len(reasons) - SHOWN} other reasons" if len(reasons) > SHOWN else ""
    return f"{plural(len(failed), 'image')} failed. {told}{more}."
