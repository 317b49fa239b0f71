"""What a method can say of an image beside its map: a completeness gap, the passes it took, a boundary it did not find.

A method calls `note(completeness_gap=gap)` with one number per image. `note(error=reasons)`, for each image a sentence
or None, turns the rows of those that have one into failed rows. Nobody has to listen: without a listener the call does
nothing, and a method stays a function from images to maps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

Facts = Tensor | list[str | None]
_notes: ContextVar[dict[str, Facts] | None] = ContextVar("notes", default=None)


def note(**facts: Facts) -> None:
    """Leave one number per image, [B], under each name (`error`: a list of B)."""
    notes = _notes.get()
    if notes is not None:
        notes.update(facts)


def note_passes(images: Tensor, forward: int, backward: int) -> None:
    """Leave how many passes each of the images took, where those that were made are not the images' alone."""
    note(forward_passes=torch.full((len(images),), forward), backward_passes=torch.full((len(images),), backward))


@contextmanager
def listening() -> Iterator[dict[str, Facts]]:
    """Collect the notes of the methods called inside."""
    notes: dict[str, Facts] = {}
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)
