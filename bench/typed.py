"""A command line as it was typed, so that Hydra reads what was meant; and as it is typed again, on any machine."""

import os
import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from bench.choices import own
from bench.errors import UserError

PATHS = (
    "data.root",
    "data.devkit",
    "data.subset",
    "data.path",
    "data.masks_path",
    "model.weights",
    "method.root",
    "paths.results",
)


def as_typed(overrides: list[str]) -> list[str]:
    """A command line in which paths and ids mean what was typed: `data.ids=[2007_000032]` is no number, and a path may
    hold what Hydra keeps for itself (`=`, `(`, `ä`). `~` is the user's folder. Options of Hydra stay as they are.

    UserError: Hydra cannot read another value; how to quote it.
    """
    return [_as_typed(override) if "=" in override and override[0] != "-" else override for override in overrides]


def _as_typed(override: str) -> str:
    key, _, value = override.partition("=")
    kind = key.lstrip("+")
    if kind in PATHS:  # before Hydra makes folders of its own under paths.results
        quote = value[: value[:1] in ("'", '"')]
        value = quote + os.path.expanduser(value.removeprefix(quote))
        override = f"{key}={value}"
    if kind == "data.ids" and value != "null" and (plain := re.fullmatch(r"""(\[?)([^\[\]"'$]*)(\]?)""", value)):
        words = [_quoted(word.strip()) for word in plain[2].split(",") if word.strip()]
        return f"{key}={plain[1]}{','.join(words)}{plain[3]}"
    try:
        read = OverridesParser.create().parse_overrides([override])[0].value()
    except OverrideParseException as error:
        if kind in PATHS:
            return f"{key}={_quoted(value)}"
        quoted = shlex.quote(f"{key}={_quoted(value)}")
        raise UserError(f"{override}: Hydra cannot read this value; as a text it is {quoted}") from error
    return f"{key}={_quoted(value)}" if kind in PATHS and isinstance(read, int | float) else override


def _quoted(text: str) -> str:
    """As Hydra's grammar has it: a backslash counts only before a quote and at the end."""
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ("\\" if found[2] else "") + found[2], text)
    return f'"{escaped}"'


def with_own(overrides: list[str]) -> list[str]:
    """A command line that finds the user's own yamls beside ours."""
    place = own()
    if place is None or any(override.startswith("hydra.searchpath=") for override in overrides):
        return overrides
    first = next((k for k, word in enumerate(overrides) if "=" in word and word[0] != "-"), len(overrides))
    return [*overrides[:first], f"hydra.searchpath=[{_quoted(f'file://{place}')}]", *overrides[first:]]  # none after -m


def elsewhere(overrides: list[str]) -> str:
    """The command line without what holds on this machine only."""
    return shlex.join(override for override in overrides if not override.startswith(("paths.", "data.root", "hydra")))


def made_again(module: str, overrides: list[str]) -> str:
    """The command that makes a document, in Markdown, to be typed on any machine."""
    return f"Made again by `{f'python -m {module} {elsewhere(overrides)}'.rstrip()}`"
