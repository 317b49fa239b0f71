"""What a metric says of its numbers, beside the function, in plain literals:

    QUANTITIES = {"score": {"title": "Infidelity", "better": "low", "unit": "logit²"}}
    DRAWS = True  # its numbers depend on run.seed

Read without importing the metric, so that a report needs no network and no torch.
"""

import ast
import functools
from dataclasses import dataclass

from bench.errors import UserError
from bench.modules import source

SIGNS = {"high": 1, "low": -1, "none": 0}


@dataclass(frozen=True)
class Quantity:
    """One number of a row, or the difference of two."""

    title: str
    better: str  # high, low, or none: it stands beside the others, and ranks nothing
    unit: str = ""  # "{readout}": what that setting of the metric is
    minus: tuple[str, str] | None = (
        None  # of which two numbers of the row it is the difference; None: a number of its own
    )
    tailed: bool = False  # a few images can carry the mean away: the median stands beside it

    def __post_init__(self):
        if self.better not in SIGNS:
            raise UserError(f"{self.title}: better={self.better!r}: expected high, low or none.")

    @property
    def sign(self) -> int:
        """1: higher is better; -1: lower is; 0: neither."""
        return SIGNS[self.better]


@dataclass(frozen=True)
class Said:
    """All that a metric says of itself."""

    quantities: dict[str, Quantity]
    draws: bool


@functools.cache
def said(target: str) -> Said:
    """What the module of the metric at this import path says. Raises UserError if it says nothing, or no literal."""
    module = target.rpartition(".")[0]
    file = source(module)
    if file is None:
        raise UserError(f"{target}: there is no Python file {module}.")
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in ("QUANTITIES", "DRAWS"):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            except ValueError:
                raise UserError(
                    f"{module}: {node.targets[0].id} must be written out: words and numbers only."  # type: ignore[attr-defined]
                ) from None
    if "QUANTITIES" not in found:
        raise UserError(
            f'{module} does not say what its numbers are. Give it QUANTITIES = {{"score": {{"title": "…", '
            f'"better": "high"}}}} (or "low"), and DRAWS = True if it draws.'
        )
    return Said({name: Quantity(**each) for name, each in found["QUANTITIES"].items()}, bool(found.get("DRAWS")))
