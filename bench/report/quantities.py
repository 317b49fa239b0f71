"""What the numbers of a report are: each metric says it beside its function (metrics/quantities.py)."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace

import yaml

from bench.choices import file
from bench.errors import UserError
from metrics.quantities import Quantity, said

SPEED = "fps"  # a quantity of every run, whatever its metric
SPEEDS = {SPEED: Quantity("Images / s", better="high", unit="images / s")}
PROBABILITY = "probability"
UNITS = {"kl": "KL(uniform ‖ p), nats"}  # readouts whose name does not say it
ARROWS = {"high": " ↑", "low": " ↓", "none": ""}

Quantities = dict[str, Quantity]


def of_metric(name: str, settings: Mapping | None = None, recorded: Mapping | None = None) -> Quantities:
    """What a metric measures.  settings: it was made with, `_target_` among them; none: those of conf/metric.

    recorded: what it said when its rows were made, which holds if its file is gone.

    A unit may be one of the settings: "{readout}".
    """
    settings = settings if settings and "_target_" in settings else _shipped(name)
    try:
        kinds = said(settings["_target_"]).quantities
    except UserError:
        if not recorded:
            raise
        kinds = {str(key): _read(kind) for key, kind in recorded.items()}
    found = {}
    for quantity, kind in kinds.items():
        unit = re.sub(r"\{(\w+)\}", lambda word: str(settings.get(word[1], word[0])), kind.unit)
        found[quantity] = replace(kind, unit=UNITS.get(unit, unit))
    return found


def _read(kind: Mapping) -> Quantity:
    """As a record has it."""
    plain = {field.name: kind[field.name] for field in fields(Quantity) if field.name in kind}
    return Quantity(**plain | {"minus": tuple(plain["minus"]) if plain.get("minus") else None})


def chosen(metric: str, known: Quantities, wanted: list[str] | None) -> Quantities:
    """Those that an experiment shows. UserError: one that the metric has not."""
    if not wanted:
        return known
    known = known | SPEEDS
    if strange := [name for name in wanted if name not in known]:
        raise UserError(f"experiment.quantities: {metric} has no {', '.join(strange)}; there are {', '.join(known)}.")
    return {name: known[name] for name in wanted}


def in_words(kind: Quantity) -> str:
    """In the middle of a sentence: insertion, GAP."""
    return kind.title if kind.title.isupper() else kind.title[:1].lower() + kind.title[1:]


def _shipped(name: str) -> Mapping:
    path = file("metric", name)
    if not path.exists():
        raise UserError(f"Nobody says what the numbers of {name} are: there is no record of its run, and no {path}.")
    return yaml.safe_load(path.read_text(encoding="utf-8"))[name]
