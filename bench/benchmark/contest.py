"""A contest: something that Heatproof computes, and others who say that they compute it. Who does not is not timed."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import torch
from torch import Tensor, nn

from bench.networks.network import Network
from bench.profile.subjects import Bench
from bench.running.job import Job
from bench.types import Images

SAME, DIFFERS, FAILS, ABSENT = "same", "differs", "fails", "absent"


@dataclass(frozen=True)
class Material:
    """What all sides get.

    job: ours, with the contest's method or metric; others read their settings off it, so that they are the same.
    on: the images and the class that is explained.  maps: what scores are of.
    net: the network as it was loaded, pixels to logits, for everybody but us.
    """

    job: Job
    on: Bench
    net: Network
    maps: Images

    @property
    def width(self) -> int:
        """Images a pass."""
        return len(self.on.x)

    @property
    def settings(self) -> dict:
        """Of the contest's method."""
        return self.job.method.keywords  # type: ignore[attr-defined]

    @property
    def layer(self) -> nn.Module:
        """That a CAM looks at."""
        return self.net.layer(self.settings["layer"])


Compute = Callable[[Material], Tensor]


@dataclass(frozen=True)
class Library:
    """name: as people say it.  package: on PyPI; empty: nothing to install.  module: what is imported."""

    name: str
    package: str
    module: str
    install: str

    @property
    def here(self) -> bool:
        return not self.module or importlib.util.find_spec(self.module) is not None

    @property
    def version(self) -> str:
        return version(self.package) if self.package and self.here else ""


@dataclass(frozen=True)
class Peer:
    """compute: as its users call it, which is timed.  checked: the same where chance plays a part, with our draws.

    why: what is known of a difference, if there is one.  help: what it is given that it lacks here.
    """

    library: Library
    compute: Compute
    checked: Compute | None = None
    why: str = ""
    help: str = ""


def as_it_is(made: Tensor) -> Tensor:
    return made


@dataclass(frozen=True)
class Contest:
    """overrides: the method or the metric, by its settings, at so many pixels.  ours: [B, …], an image's numbers each.

    tolerance: of the largest difference: of a number as it is (`absolute`), or of an image's map as a share of the length
    of ours, both as vectors.
    """

    name: str
    title: str
    overrides: Callable[[int], list[str]]
    ours: Compute
    peers: tuple[Peer, ...]
    tolerance: float
    absolute: bool = False
    without_gradients: bool = False  # so that an engine may compute it, too
    exact: bool = False  # in float64, where rounding would make other numbers
    read: Callable[[Tensor], Tensor] = as_it_is  # of both sides, before they are compared


@dataclass(frozen=True)
class Verdict:
    """word: SAME, DIFFERS, FAILS or ABSENT.  difference: NaN where there is none to tell.  why: if not the same."""

    word: str
    difference: float = float("nan")
    why: str = ""


def judge(contest: Contest, peer: Peer, ours: Tensor, material: Material) -> Verdict:
    """Whether a peer computes what we do."""
    if not peer.library.here:
        return Verdict(ABSENT, why=f"pip install {peer.library.install}")
    return compared(contest, ours, lambda: (peer.checked or peer.compute)(material), peer.why)


def compared(contest: Contest, ours: Tensor, theirs: Callable[[], Tensor], why: str = "") -> Verdict:
    try:
        found = difference(contest.read(ours), contest.read(theirs()), contest.absolute)
    except Exception as error:  # whatever goes wrong in there, the others are asked
        return Verdict(FAILS, why=f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}")
    if found <= contest.tolerance:
        return Verdict(SAME, found)
    return Verdict(DIFFERS, found, why or "it is not known why")


def difference(ours: Tensor, theirs: Tensor, absolute: bool) -> float:
    """The largest over images. Infinite where shapes differ or a number is none."""
    if ours.shape != theirs.shape:
        return float("inf")
    apart = (theirs.to(ours).double() - ours.double()).flatten(1)
    found = apart.abs() if absolute else apart.norm(dim=1) / ours.double().flatten(1).norm(dim=1)
    return float(torch.nan_to_num(found, nan=float("inf")).max())
