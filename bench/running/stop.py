"""SIGTERM and Ctrl-C end a run after the batch in hand; the second one ends it at once."""

import os
import signal
import sys
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """`with Stop() as stop: …`; stop.asked is the signal that came meanwhile, or None."""

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._process = os.getpid()
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Stop":
        try:
            self._before = {one: signal.signal(one, self._heard) for one in SIGNALS}
        except ValueError:  # only a program's first thread may say what becomes of its signals
            self._before = {}
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)  # type: ignore[arg-type]

    @property
    def status(self) -> int:
        """Of the process, as a shell knows it: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.asked if self.asked else 0

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a process that reads images: the one that it reads for ends it
            return
        one = signal.Signals(number)
        if self.asked:
            signal.signal(one, signal.SIG_DFL)
            os.kill(self._process, one)
        self.asked = one
        print(f"\n{one.name}: ends after this batch; once more: at once.", file=sys.stderr, flush=True)
