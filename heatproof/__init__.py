"""Heatproof for Python: attribution heatmaps, and how well they do.

    import heatproof

    maps = heatproof.attribute(model, images, method="la")
    scores = heatproof.score(model, images, maps, metrics=["unified"])
    result = heatproof.evaluate(model, images, methods=["la", "ig", mine], metrics=["unified"])
    rows = heatproof.rows("results")

Importing it takes no time: torch and the rest come with the first function that is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from bench import __version__
from bench.errors import UserError

if TYPE_CHECKING:
    from heatproof.interface import attribute, evaluate, rows, score
    from heatproof.result import Result

__all__ = ["Result", "UserError", "__version__", "attribute", "evaluate", "rows", "score"]

PLACES = {name: "heatproof.interface" for name in ("attribute", "evaluate", "rows", "score")} | {
    "Result": "heatproof.result"
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module heatproof has no attribute {name}")
    return getattr(importlib.import_module(PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
