"""Who computes the passes that need no gradient: torch itself, torch.compile, or ONNX Runtime.

Scores, the masks of Score-CAM, RISE, LIME, occlusion are passes of one shape, tens of thousands of them, of which nobody
asks for a gradient. Gradients, and whatever looks at layers (a hook, a mode that follows functions), stay with torch.

An engine opens when it is first asked. It is then compared with the eager network, on the images that it was handed, which
are the run's own: what differs by more than BOUND is no engine for this network, and the run ends there.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from omegaconf import DictConfig
from torch import Tensor

from bench.errors import UserError
from bench.networks.network import Network
from bench.running import exported
from bench.text import one_line, plural
from bench.types import Images, Logits

BOUND = {
    "fp64": 1e-8,
    "fp32": 1e-4,
    "tf32": 1e-2,
    "bf16": 1e-4,
}  # of the range of the logits; bf16: they are compared in fp32
ONE_PLACE = "rounds differently at different places of a batch: last digits depend on mates"

Run = Callable[[Images], Logits]


@dataclass
class Compared:
    """An engine beside the eager network, on the first images of a run."""

    engine: str
    version: str
    images: int
    difference: float  # the largest of a logit
    share: float  # of the range of the logits
    bound: float  # for that share

    def __str__(self) -> str:
        return (
            f"logits differ from torch's by at most {self.difference:.1e}, {self.share:.1e} of their range, on "
            f"{plural(self.images, 'image')}"
        )


class Engine:
    """A network without gradients, called as the network is."""

    def __init__(self, name: str, version: str, precision: str, network: Network, opened: Callable[[bool], Run]):
        """version: of its library.  opened: makes it ready; True: anew, even if a file of it is there."""
        self.name, self.version, self.bound = name, version, BOUND[precision]
        self.network, self.opened = network, opened
        self.compared: Compared | None = None
        self.run: Run | None = None

    def __call__(self, x: Images) -> Logits:
        if self.run is None:
            self.run = self._open(x)
        return self.run(x)

    @property
    def record(self) -> dict:
        """What the run's record says of it."""
        return asdict(self.compared) if self.compared else {"engine": self.name, "version": self.version}

    def _open(self, x: Images) -> Run:
        """UserError: it answers otherwise than the network."""
        for again in (False, True):  # a file may be of code that has changed since
            run = self.opened(again)
            self.compared = found = self._compare(run, x)
            if found.share <= found.bound:
                break
        if not found.share <= found.bound:
            raise UserError(
                f"{self.name} is no engine for {self.network.name}: its {found}, and {found.bound:.0e} is the most that is "
                "taken. Run with compute.engine=torch."
            )
        one = run(x[:1].expand_as(x))
        if not bool((one == one[:1]).all()):
            print(f"warning: {self.network.name} by {self.name} {ONE_PLACE}.", file=sys.stderr)
        return run

    @torch.no_grad()
    def _compare(self, run: Run, x: Images) -> Compared:
        """On all of the images, and on the first alone."""
        wide, alone = self.network.eager(x), self.network.eager(x[:1])
        difference = max(_apart(run(x), wide), _apart(run(x[:1]), alone))
        span = float(wide.max() - wide.min())
        share = difference / span if span else (0.0 if difference == 0 else float("inf"))
        return Compared(self.name, self.version, len(x), difference, share, self.bound)


def engine_for(cfg: DictConfig, network: Network, device: torch.device) -> Engine | None:
    """The engine that `cfg` (the run's `compute`) asks for; None: torch.  UserError: it is not to be had here."""
    kind = cfg.get("engine") or "torch"
    if kind == "torch":
        return None
    if kind == "compile":
        return Engine(kind, str(torch.__version__), cfg.precision, network, lambda again: compiled(network))
    if cfg.precision in ("fp64", "bf16"):
        raise UserError(
            f"compute.engine=onnxruntime computes in fp32, and compute.precision={cfg.precision}: choose one of them."
        )
    return Engine(
        f"onnxruntime:{cfg.provider}",
        exported.version(cfg.provider, device),
        cfg.precision,
        network,
        lambda again: exported.opened(network, cfg.provider, device, tf32=cfg.precision == "tf32", again=again),
    )


def compiled(network: Network) -> Run:
    """The network by torch.compile, for passes without gradients alone."""
    net = torch.compile(getattr(network.net, "_orig_mod", network.net))

    def run(x: Images) -> Logits:
        try:
            return net((x - network.mean) / network.std)
        except torch._dynamo.exc.TorchDynamoException as error:
            why = one_line(error, 200)
            raise UserError(f"compute.engine=compile: torch cannot compile {network.name} here ({why}).") from error

    return run


def _apart(one: Tensor, other: Tensor) -> float:
    """The largest difference; infinite if one of them has other numbers of logits, or none."""
    return float((one - other).abs().max().nan_to_num(float("inf"))) if one.shape == other.shape else float("inf")
