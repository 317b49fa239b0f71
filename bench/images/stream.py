"""How images arrive: ids to batches of one width, read ahead by worker processes, each image once."""

import signal
import sys
from collections.abc import Iterator
from itertools import islice

import torch
from torch.utils.data import DataLoader, Dataset

from bench.images.source import Batch, Failure, ImageError, Sample, Source

START = "fork" if sys.platform == "linux" else "spawn"  # said outright: a launcher may have put its own in place


def stream(source: Source, ids: list[str], width: int, workers: int) -> Iterator[Batch]:
    """The images, `width` ids at a time, in order. Holds two batches at most, however many images there are.

    workers: processes that load ahead, 0 for none. A broken image becomes a Failure of the batch that its id falls in.
    """
    ahead = max(1, -(-width // workers)) if workers else None  # together, the workers prepare one batch ahead
    loader = DataLoader(
        _Loads(source, ids),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=ahead,
        generator=torch.Generator(),
        multiprocessing_context=START if workers else None,
        worker_init_fn=_leave_signals_to_the_run,
    )
    loaded = iter(loader)
    while group := list(islice(loaded, width)):
        yield collate(group, width)


def _leave_signals_to_the_run(_: int) -> None:
    """Of a worker: what is sent to all processes of a run ends it after its batch, for which images are still to be read."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)


def collate(group: list[tuple[Sample | Failure, str | None]], width: int) -> Batch:
    """Up to `width` images, each with its stamp, as one batch of exactly `width`."""
    samples = [item for item, _ in group if isinstance(item, Sample)]
    padded = samples + samples[-1:] * (width - len(samples))
    masks = [s.mask for s in padded if s.mask is not None]
    ignored = [s.ignored for s in padded if s.ignored is not None]
    return Batch(
        ids=[s.id for s in samples],
        x=torch.stack([s.pixels for s in padded]) if samples else torch.empty(0, 3, 0, 0),
        labels=[s.label for s in samples],
        masks=torch.stack(masks) if samples and len(masks) == len(padded) else None,
        failures=[item for item, _ in group if isinstance(item, Failure)],
        ignored=torch.stack(ignored) if samples and len(ignored) == len(padded) else None,
        fingerprints={item.id: item.fingerprint for item, _ in group if item.fingerprint is not None},
        stamps={item.id: stamp for item, stamp in group if stamp is not None},
    )


class _Loads(Dataset):
    """What a worker does: one id, one Sample or Failure, and the stamp of the image before it was read."""

    def __init__(self, source: Source, ids: list[str]):
        self.source, self.ids = source, ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, k: int) -> tuple[Sample | Failure, str | None]:
        stamp = self.source.stamp(self.ids[k])
        try:
            return self.source.load(self.ids[k]), stamp
        except ImageError as error:
            return Failure(self.ids[k], str(error), error.fingerprint), stamp
