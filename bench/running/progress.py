"""A bar that moves with every pass of the network, not only with every batch: a batch may take minutes."""

import shutil
import sys
import time
from types import TracebackType
from typing import TextIO

from tqdm.auto import tqdm  # a notebook's bar in a notebook

from bench.networks.network import Network
from bench.text import duration, plural

LINE_EVERY = 60.0  # seconds, where there is no terminal
FORMAT = "{percentage:3.0f}% |{bar}| {desc}"


class Bar:
    """Images done and failed, passes a second and the time left: a bar on a terminal, elsewhere a line a minute."""

    def __init__(
        self, network: Network, images: int, width: int, passes: int, filled: int = 0, out: TextIO | None = None
    ):
        """width: images a batch.  passes: forward passes an image.  filled: those of them that few images fill."""
        self.network, self.images, self.width = network, images, width
        self.passes, self.filled = max(1, passes), filled
        self.out = out or sys.stderr
        self.total = self._passes(images)
        self.done = self.failed = self.counted = 0
        self.began = self.told = time.monotonic()
        self.bar = self._bar() if self.out.isatty() or in_notebook() else None

    def _bar(self) -> tqdm:
        columns, rows = shutil.get_terminal_size()  # 80, 24 where the terminal says 0, as a container's does
        size = {"ncols": columns, "nrows": max(rows, 2)} if self.out.isatty() else {}
        return tqdm(total=self.total, file=self.out, bar_format=FORMAT, mininterval=0.2, **size)

    def __enter__(self) -> "Bar":
        self.handle = self.network.register_forward_hook(self._passed)
        self._show()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.handle.remove()
        if self.bar is not None:
            self.bar.close()

    def batch(self, images: int, failed: int) -> None:
        """A batch is safe on disk. Where a method took fewer passes than it might have, the bar makes up for them."""
        self.done, self.failed = self.done + images, self.failed + failed
        self.counted = self._passes(self.done)
        self._show()

    def _passed(self, network: Network, inputs: tuple, output: object) -> None:
        most = self._passes(min(self.done + self.width, self.images))  # backward passes, say, are not counted
        self.counted = min(self.counted + len(inputs[0]), most)
        self._show()

    def _passes(self, images: int) -> int:
        """Of so many images, the places included that nothing fills."""
        padded = -(-images // self.width) * self.width
        return padded * (self.passes - self.filled) + images * self.filled

    def _show(self) -> None:
        now = time.monotonic()
        if self.bar is not None:
            self.bar.set_description_str(self.line(now - self.began), refresh=False)
            self.bar.update(self.counted - self.bar.n)
        elif now - self.told >= LINE_EVERY:
            self.told = now
            print(f"{self.counted / self.total:4.0%} {self.line(now - self.began)}", file=self.out, flush=True)

    def line(self, seconds: float) -> str:
        rate = self.counted / seconds if seconds else 0.0
        left = duration((self.total - self.counted) / rate) if rate else "?"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {plural(self.images, 'image')}{failed}, {rate:.0f} passes/s, {left} left"


def in_notebook() -> bool:
    """Whether a bar can be drawn though there is no terminal."""
    kernel = sys.modules.get("IPython")
    shell = kernel.get_ipython() if kernel else None
    return hasattr(shell, "kernel")
