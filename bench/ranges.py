"""What a setting may be, said in its type, where it is documented:

    def smooth_grad(model, x, target, rng, *, draws: Count, sigma: Annotated[float, Between(0, 10)]) -> Images

`checked` reads such types off a function or a TypedDict and gives settings as they are meant: `off` is False, 5.0 steps are
5, a sigma of 1 is 1.0. What does not fit is refused in a line. A type that says nothing here (a module, a tensor) takes
anything, and so does a parameter without one.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from bench.errors import UserError

SWITCH = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
MISSING = "???"  # to be given; whoever needs it says so
Kind = Any  # a type: int, Annotated[float, Between(0, 1)], Literal["a", "b"], list[int] | None


class Refused(ValueError):
    """The value is not of this kind."""


@dataclass(frozen=True)
class Between:
    """Numbers from low to high, both ends included; `above`: low is not."""

    low: float
    high: float = math.inf
    above: bool = False

    def allows(self, value: float) -> bool:
        return value <= self.high and (value > self.low if self.above else value >= self.low)

    def __str__(self) -> str:
        if self.above:
            return f"above {self.low:,}" + (f" and at most {self.high:,}" if self.high < math.inf else "")
        return f"from {self.low:,} to {self.high:,}" if self.high < math.inf else f"of at least {self.low:,}"


@dataclass(frozen=True)
class Length:
    """Lists of at least so many, or of exactly so many."""

    low: int
    exactly: bool = False

    def allows(self, value: list) -> bool:
        return len(value) == self.low if self.exactly else len(value) >= self.low

    def __str__(self) -> str:
        return f"of {self.low}" if self.exactly else f"of at least {self.low}"


@dataclass(frozen=True)
class Form:
    """Words of a form: a regular expression, and how a message describes it."""

    pattern: str
    described: str

    def allows(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.described


Count = Annotated[int, Between(1, 10_000)]  # steps, draws, points: what a run has to go through one after the other
Share = Annotated[float, Between(0, 1)]
Positive = Annotated[float, Between(0, 10, above=True)]  # in units of pixels, which lie in [0, 1]
Noise = Annotated[float, Between(0, 10)]  # a standard deviation in the same units; 0: none
Seed = Annotated[int, Between(0, 2**32 - 1)]  # what every library takes
Reach = Annotated[float, Between(0, 1, above=True)]  # a step or a distance in the same units
GreyLevels = Annotated[float, Between(0, 255, above=True)]  # of 255
Drawn = Annotated[int, Between(1, 100_000)]  # so many classes; all, if there are no more
Colour = Annotated[list[Share], Length(3, exactly=True)]  # R, G, B
Classes = Annotated[list[Annotated[int, Between(0)]], Length(1)]  # class indices


def checked(described: Callable, settings: Mapping[str, object], where: str) -> dict[str, object]:
    """The settings of this function, class or TypedDict, as they are meant. Keys that it does not describe stay as they are.

    where: what their names start with in a message (`method`). UserError: the key, its value and what was expected.
    """
    known, found = kinds(described), dict(settings)
    for key, value in settings.items():
        if key not in known or value == MISSING:
            continue
        found[key] = _checked(f"{where}.{key}", value, known[key])
    return found


def _checked(name: str, value: object, kind: Kind) -> object:
    if get_origin(kind) is dict and isinstance(value, Mapping):
        return {key: _checked(f"{name}.{key}", item, get_args(kind)[1]) for key, item in value.items()}
    if is_typeddict(kind) and isinstance(value, Mapping):
        return checked(kind, value, name)
    try:
        return meant(value, kind)
    except Refused:
        raise UserError(f"{name}={shown(value)}: expected {told(kind)}.") from None


def kinds(described: Callable) -> dict[str, Kind]:
    """{parameter or key: its type}."""
    if isclass(described) and not is_typeddict(described):
        described = described.__init__
    try:
        return get_type_hints(described, include_extras=True)
    except (AttributeError, NameError, TypeError):  # somebody's annotations that are no types
        return {}


def meant(value: object, kind: Kind) -> object:
    """The value as a kind has it. Raises Refused."""
    origin, parts = get_origin(kind), get_args(kind)
    if isinstance(value, Mapping) and "_target_" in value:
        return value  # it stands for what it builds
    if origin is Annotated:
        value = meant(value, parts[0])
        if not all(limit.allows(value) for limit in parts[1:] if hasattr(limit, "allows")):
            raise Refused
        return value
    if origin in (Union, UnionType):
        for part in parts:
            try:
                return meant(value, part)
            except Refused:
                continue
        raise Refused
    if origin is Literal:
        return _one_of(parts, value)
    if origin is list and isinstance(value, list | tuple):
        return [meant(item, *parts) for item in value]
    if origin is None and kind in READERS:
        return READERS[kind](value)
    if origin in (list, dict) or is_typeddict(kind) or (origin is Callable and not callable(value)):
        raise Refused
    return value


def told(kind: Kind) -> str:
    """What is expected, in words: 'a whole number from 1 to 10,000 or null'."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        limits = [str(limit) for limit in parts[1:] if hasattr(limit, "allows")]
        if get_origin(parts[0]) is list:
            return f"a list {' '.join(limits)}, each {told(*get_args(parts[0]))}"
        return limits[0] if isinstance(parts[1], Form) else " ".join([told(parts[0]), *limits])
    if origin in (Union, UnionType):
        words = [word for part in parts for word in (get_args(part) if get_origin(part) is Literal else [told(part)])]
        return _either(words)
    if origin is Literal:
        return _either(parts)
    if origin is list:
        return f"a list, each {told(*parts)}"
    if is_typeddict(kind):
        return f"keys, such as {next(iter(kinds(kind)))}"
    if origin is dict:
        return f"names, each with {told(parts[1])}"
    if origin is Callable:
        return "what builds it (_target_: …)"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text", NoneType: "null"}.get(
        kind, getattr(kind, "__name__", str(kind))
    )


def _either(words: Sequence[object]) -> str:
    *rest, last = map(str, words)
    comma = "," if any("," in word for word in rest) else ""  # what is itself a list of words
    return f"{', '.join(rest)}{comma} or {last}" if rest else last


def shown(value: object) -> str:
    """As a command line has it, in one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return " ".join(str(value).split())[:100]


def _one_of(words: tuple, value: object) -> object:
    for word in words:
        if value == word and isinstance(value, bool) is isinstance(word, bool):
            return word
    raise Refused


def _switch(value: object) -> bool:
    if isinstance(value, bool | str) and str(value).lower() in SWITCH:
        return SWITCH[str(value).lower()]
    raise Refused


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise Refused
    try:
        return float(value)
    except OverflowError:
        raise Refused from None


def _whole(value: object) -> int:
    if not _number(value).is_integer():
        raise Refused
    return int(value)  # type: ignore[call-overload]


def _text(value: object) -> str:
    """A name of digits alone (a layer, a folder) reads as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or str(value).strip() == "":
        raise Refused
    return str(value)


def _null(value: object) -> None:
    if value is not None:
        raise Refused


READERS = {bool: _switch, int: _whole, float: _number, str: _text, NoneType: _null}
