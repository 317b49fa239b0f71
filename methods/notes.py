"""What a method can say of an image beside its map: a completeness gap, the passes it took, a boundary it did not find.

A method calls `note(completeness_gap=gap)` with one number per image. Nobody has to listen: without a listener the call
does nothing, and a method stays a function from images to maps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_notes: ContextVar[dict[str, Tensor] | None] = ContextVar("notes", default=None)


def note(**facts: Tensor) -> None:
    """Leave one number per image, [B], under each name."""
    notes = _notes.get()
    if notes is not None:
        notes.update(facts)


@contextmanager
def listening() -> Iterator[dict[str, Tensor]]:
    """Collect the notes of the methods called inside."""
    notes: dict[str, Tensor] = {}
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)
