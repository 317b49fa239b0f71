"""The page's templates."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape


def environment() -> Environment:
    """Jinja over this folder, with what our text needs to be HTML: `…` as code, and minus signs."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    found.filters |= {"code": _code, "minus": _minus}
    return found


def _code(text: str) -> Markup:
    """`…` as code."""
    parts = (
        Markup(f"<code>{escape(part)}</code>") if i % 2 else escape(part) for i, part in enumerate(text.split("`"))
    )
    return Markup("").join(parts)


def _minus(text: str) -> str:
    """A minus sign before a number, not a hyphen."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)
