"""Who is computing what: <results>/running/<host>-<pid>.json, written with each batch and gone when the process ends.

It locks nothing. What a killed process leaves is told by its age, or on the same machine by there being no such process.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.text import duration, slug

PATIENCE = 60.0, 3.0  # seconds, and batches, without a sign of life


@dataclass(frozen=True)
class Beat:
    """What a process says of itself. Times: seconds since 1970, by its own clock."""

    host: str
    pid: int
    began: float
    at: float  # when it said so
    batch: float  # seconds that a batch takes, as foretold or, if that was more, as it was
    cell: dict[str, str]  # data, model, method
    runs: list[str]  # their ids
    images: int  # that it has to do
    left: int

    @property
    def rate(self) -> float | None:
        """Images a second."""
        seconds = self.at - self.began
        return (self.images - self.left) / seconds if seconds > 0 and self.left < self.images else None

    def stale(self, now: float) -> str | None:
        """Why it is not to be believed; None: it is."""
        if self.host == socket.gethostname() and not _runs(self.pid):
            return "its process is gone"
        silence, (seconds, batches) = now - self.at, PATIENCE
        if abs(silence) <= seconds + batches * self.batch:
            return None
        return f"no sign of life for {duration(silence)}" if silence > 0 else f"its clock is {duration(-silence)} ahead"


class Heartbeat:
    """`with Heartbeat(…) as heart: …`, and heart.beat(left) after each batch."""

    def __init__(self, results: Path, cell: Mapping[str, str], runs: Sequence[str], images: int, batch: float):
        self.folder, now = results / "running", time.time()
        self._last = time.monotonic()
        self._beat = Beat(socket.gethostname(), os.getpid(), now, now, batch, dict(cell), list(runs), images, images)

    @property
    def file(self) -> Path:
        return self.folder / f"{slug(self._beat.host)}-{self._beat.pid}.json"

    def __enter__(self) -> "Heartbeat":
        for file, beat in _found(self.folder):
            if beat.host == self._beat.host and not _runs(beat.pid):
                file.unlink(missing_ok=True)
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.file.unlink(missing_ok=True)
            self.folder.rmdir()  # if nobody else is there

    def beat(self, left: int) -> None:
        now = time.monotonic()
        longest = max(self._beat.batch, now - self._last)
        self._last, self._beat = now, replace(self._beat, at=time.time(), batch=longest, left=left)
        self._write()

    def _write(self) -> None:
        """A run goes on though nobody can be told of it."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            hidden = self.file.with_name(f".{self.file.name}")
            hidden.write_text(json.dumps(asdict(self._beat)), encoding="utf-8")
            hidden.replace(self.file)


def beats(results: Path) -> list[Beat]:
    """Of all processes that say that they work there, by what they work on."""
    return sorted(
        (beat for _, beat in _found(results / "running")), key=lambda beat: (str(beat.cell), beat.host, beat.pid)
    )


def _found(folder: Path) -> list[tuple[Path, Beat]]:
    found = []
    for file in folder.glob("[!.]*.json"):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append((file, Beat(**json.loads(file.read_text(encoding="utf-8")))))
    return found


def _runs(pid: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
