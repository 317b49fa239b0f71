"""What a metric says of its numbers, beside the function, in plain literals:

    QUANTITIES = {"score": {"title": "Infidelity", "better": "low", "unit": "logit²"}}
    DRAWS = True  # its numbers depend on run.seed

Read without importing the metric, so that a report needs no network and no torch.
"""

import ast
import functools
from dataclasses import dataclass, fields

from bench.errors import UserError
from bench.modules import source

SIGNS = {"high": 1, "low": -1, "none": 0}
NUMBERS = ("score", "insertion", "deletion", "chance")  # columns of a row that a metric may fill, beside its curves
FORM = '{"score": {"title": "…", "better": "high"}} (or "low")'


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
    try:
        body = ast.parse(file.read_bytes()).body
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: {error.msg}.") from None
    for node in body:
        of = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if (name := getattr(of, "id", None)) in ("QUANTITIES", "DRAWS") and getattr(node, "value", None) is not None:
            try:
                found[name] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            except (ValueError, TypeError):
                raise UserError(f"{module}: {name} must be written out: words and numbers only.") from None
    if "QUANTITIES" not in found:
        raise UserError(
            f"{module} does not say what its numbers are. Give it QUANTITIES = {FORM}, and DRAWS = True if it draws."
        )
    return Said(_quantities(module, found["QUANTITIES"]), bool(found.get("DRAWS")))


def _quantities(module: str, told: object) -> dict[str, Quantity]:
    """UserError: they are of another form, or no numbers of a row."""
    if not isinstance(told, dict) or not told or not all(isinstance(each, dict) for each in told.values()):
        raise UserError(f"{module}: QUANTITIES={told!r}: expected {FORM}.")
    kinds = {}
    for name, each in told.items():
        try:
            kinds[name] = Quantity(**each)
        except TypeError:
            known = ", ".join(field.name for field in fields(Quantity))
            raise UserError(f"{module}: QUANTITIES[{name!r}]={each}: expected title and better, of {known}.") from None
        if not {*(kinds[name].minus or [name])} <= {*NUMBERS}:
            raise UserError(
                f"{module}: QUANTITIES[{name!r}] is no number of a row: expected one of {', '.join(NUMBERS)}, or "
                '"minus": two of these.'
            )
    return kinds
