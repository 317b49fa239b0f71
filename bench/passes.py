"""Passes that are full. Every pass has one width, whoever is in it: where images are fewer, the last one is repeated. Where
many frames of each image are to pass the network, none of which waits for another, repeating is waste: the images' own
places travel alone, frame after frame, as many as a pass takes; and so do runs of one image, side by side.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

Seen = tuple[Tensor, ...]  # what a pass tells of each of its places: [width, ...] each


def count_own(ids: Sequence[str], width: int) -> int:
    """How many of `width` places hold an image of their own; those behind them repeat the last one.

    ids: whose image lies at each place. All are, if there are not as many ids.
    """
    if len(ids) != width:
        return width
    n = width
    while n > 1 and ids[n - 1] == ids[n - 2]:
        n -= 1
    return n


def through(run: Callable[[Tensor, Tensor], Seen], frames: Iterable[Tensor], n: int) -> Iterator[Seen]:
    """What `run` tells of each frame, in their order and as if it had been given each alone.

    frames: [width, 3, H, W] each, in which place n - 1 is repeated to the end.  run: one pass; of `width` images, and of the
    place [width] in its frame that each comes from. It must not mix images.
    """
    for _, alike in groupby(frames, key=lambda frame: frame.shape):
        yield from _of_one_size(run, alike, n)


def _of_one_size(run: Callable[[Tensor, Tensor], Seen], frames: Iterable[Tensor], n: int) -> Iterator[Seen]:
    waiting: list[Tensor] = []
    ready: list[Seen] = []
    sent = 0
    for frame in frames:
        if n == len(frame):
            yield run(frame, torch.arange(n, device=frame.device))
            continue
        waiting.append(frame[:n])
        if sum(map(len, waiting)) >= len(frame):
            rows = torch.cat(waiting)
            now, later = rows[: len(frame)], rows[len(frame) :]
            waiting = [later] if len(later) else []
            ready.append(run(now, _places(sent, now, n)))
            sent += len(frame)
        yield from _whole(ready, n, len(frame))
    if rest := sum(map(len, waiting)):
        rows = _repeated(torch.cat(waiting), len(frame))
        ready.append(tuple(told[:rest] for told in run(rows, _places(sent, rows, n))))
        yield from _whole(ready, n, len(frame))


def side_by_side(frames: Sequence[Tensor], own: int, width: int) -> Tensor:
    """The first `own` rows of each frame, one frame after the other, and the last row repeated, `width` of them in all."""
    if len(frames) == 1 and own == width:
        return frames[0]
    return _repeated(torch.cat([frame[:own] for frame in frames]), width)


def _places(first: int, rows: Tensor, n: int) -> Tensor:
    return torch.arange(first, first + len(rows), device=rows.device) % n


def _whole(ready: list[Seen], n: int, width: int) -> Iterator[Seen]:
    """Frames of which all is there; the rest stays in `ready`."""
    whole = sum(len(told[0]) for told in ready) // n * n
    if whole:
        joined = tuple(torch.cat(parts) for parts in zip(*ready, strict=True))
        ready[:] = [tuple(told[whole:] for told in joined)]
        for start in range(0, whole, n):
            yield tuple(_repeated(told[start : start + n], width) for told in joined)


def _repeated(rows: Tensor, width: int) -> Tensor:
    """`width` of them, the last one repeated."""
    return torch.cat([rows, rows[-1:].expand(width - len(rows), *rows.shape[1:])])
