"""Where and how it is computed: device, precision, batch size."""

import os
import platform
import sys
import warnings
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from omegaconf import DictConfig

from bench.errors import UserError
from bench.networks.fold import Folded, fold
from bench.networks.layers import probes
from bench.networks.network import Network
from bench.running.engine import Engine, engine_for
from bench.running.memory import keep_freed_memory
from methods.parts.gradient import input_gradient, probability

CPU_BATCH = 8  # more only fills the cache; and every batch is padded to this size
GPU_MEMORY_SHARE = 0.5
GPU_BATCH_LIMIT = 256
LACKING = {"fp64": "MPS has no float64", "tf32": "TF32 is a mode of NVIDIA's GPUs"}  # precisions, on mps
SEARCHED = 8  # how many larger batch sizes are tried for one that treats all places alike


@dataclass(frozen=True)
class Compute:
    """The settings of one run, resolved."""

    device: torch.device
    dtype: torch.dtype
    scoring: Callable[[], AbstractContextManager]  # the precision of scoring passes
    batch_size: int
    workers: int
    folded: Folded | None = None  # what became of the network's batch norms; None: compute.fold=false
    engine: Engine | None = None  # who computes passes without gradients; None: torch

    @property
    def device_name(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else processor()

    def place(self, x: torch.Tensor) -> torch.Tensor:
        """Images where the network works, in its precision and memory layout."""
        return x.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)

    def workers_for(self, images: int) -> int:
        """Starting processes for a handful of images takes longer than reading them."""
        return self.workers if images > 4 * self.batch_size else 0

    def synchronise(self) -> None:
        """Wait until the device has done what it was given: a clock read before that shows nothing."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        if self.device.type == "mps":
            torch.mps.synchronize()


def prepare(cfg: DictConfig, network: Network, kept: Collection[str] = ()) -> tuple[Compute, Network]:
    """Put the network where it will work, in its precision and memory layout, its batch norms folded if that is asked for.

    kept: names of its modules whose output a method looks at.
    """
    device, dtype = find_device(cfg.device, cfg.precision), set_precision(cfg.precision)
    if device.type == "cpu":
        keep_freed_memory()
    network = network.to(dtype=dtype)
    folded = fold_norms(network, kept) if cfg.get("fold") else None
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if cfg.compile:
        network.net = torch.compile(network.net)  # type: ignore[assignment]
    engine = engine_for(cfg, network, device)
    half = cfg.precision == "bf16"
    compute = Compute(
        device=device,
        dtype=dtype,
        scoring=(lambda: torch.autocast(device.type, torch.bfloat16)) if half else nullcontext,
        batch_size=find_batch_size(cfg.batch_size, network, device),
        workers=find_workers(cfg.workers),
        folded=folded,
        engine=engine,
    )
    if engine:
        network.hand_to(engine)
    return compute, network


def fold_norms(network: Network, kept: Collection[str] = ()) -> Folded:
    """Fold the network's batch norms, but for what the modules of these names put out; say so if it cannot be done."""
    x = (probes(network.preprocessing.size, network.get_buffer("mean")) - network.mean) / network.std
    folded = fold(network.net, x, kept)
    if folded.given_up:
        print(f"{network.name} runs with its {folded.of} batch norms unfolded: {folded.given_up}.", file=sys.stderr)
    return folded


def find_device(name: str, precision: str = "fp32") -> torch.device:
    """auto, cpu, cuda, cuda:N or mps; a GPU that is not there, or lacks the precision, is an error, not a slow run.

    auto is never mps: what type of device it was is part of a run's id, and rows of Macs are those of the CPU.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"compute.device={name}: this machine shows {torch.cuda.device_count()} GPUs to torch.")
    if device.type == "mps":
        _check_mps(precision)
    return device


def _check_mps(precision: str) -> None:
    """UserError: Apple's GPU is not there, or does not compute in this precision."""
    if not torch.backends.mps.is_available():
        raise UserError("compute.device=mps: this machine shows torch no GPU of Apple's; take compute.device=cpu.")
    if precision in LACKING or (precision == "bf16" and not _halves("mps")):
        why = LACKING.get(precision, "torch.autocast has no bfloat16 there, in this release of torch or of macOS")
        raise UserError(
            f"compute.precision={precision}: not on compute.device=mps ({why}); take fp32, or compute.device=cpu."
        )


def _halves(device: str) -> bool:
    """Whether autocast computes in bfloat16 on this type of device; where it does not it says so and goes on in float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.autocast(device, torch.bfloat16):
                return torch.is_autocast_enabled(device)
        except RuntimeError:  # a release without autocast there
            return False


def find_workers(wanted: str | int) -> int:
    """Processes that read images."""
    return min(4, os.cpu_count() or 1) if wanted == "auto" else int(wanted)


def set_precision(name: str) -> torch.dtype:
    """The dtype of images and weights. TF32 only where it was asked for: it is torch's silent default for convolutions."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.float64 if name == "fp64" else torch.float32


def find_batch_size(wanted: str | int, network: Network, device: torch.device) -> int:
    """The batch size asked for, or the next larger one at which every place in the batch rounds alike.

    Matrix kernels treat the last rows of some batches (5 = 4 + 1) differently. There an image's last digit would depend
    on its place in the batch, and with it on shards and order.
    """
    usual = CPU_BATCH if device.type != "cuda" or wanted != "auto" else _gpu_batch(network, device)
    width = usual if wanted == "auto" else int(wanted)
    for larger in range(width, width + SEARCHED):
        if _places_alike(network, larger, device):
            return larger
    print(
        f"warning: {network.name} rounds differently at different places of a batch, at every batch size from {width} to "
        f"{width + SEARCHED - 1}: last digits depend on mates. Take compute.batch_size=1 or compute.precision=fp64.",
        file=sys.stderr,
    )
    return width


def halved(compute: Compute, network: Network) -> Compute:
    """Half as many images a pass: what is done where the device has run out of memory. Says so."""
    if compute.batch_size == 1:
        raise UserError(
            f"{compute.device_name} has no room for one image of {network.name} at a time; give it more memory, or take "
            "compute.device=cpu, a smaller model.size, or the memory from what else it computes."
        )
    if compute.device.type == "cuda":
        torch.cuda.empty_cache()  # what lies there is cut for the wider passes
    half = compute.batch_size // 2
    try:
        width = find_batch_size(half, network, compute.device)
    except torch.OutOfMemoryError:
        width = compute.batch_size
    if width >= compute.batch_size:  # no room for half of them either, or each width above it rounds unevenly
        width = half
    print(
        f"{compute.device_name} ran out of memory at {compute.batch_size} images a pass; from here on {width} "
        f"(compute.batch_size={width} says so from the start).",
        file=sys.stderr,
    )
    return replace(compute, batch_size=width)


def _places_alike(network: Network, batch: int, device: torch.device) -> bool:
    """Whether one image gives the same logits and gradient, bit for bit, at every place of a batch."""
    x = _image(network, device).expand(batch, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        logits = network(x)
    gradient = input_gradient(network, x, probability(logits.argmax(dim=1)))
    return bool((logits == logits[:1]).all() and (gradient == gradient[:1]).all())


def _gpu_batch(network: Network, device: torch.device) -> int:
    """The power of two whose forward and backward pass takes about half of the memory of the card."""
    x = _image(network, device)
    network(x)
    used = []
    for batch in (1, 5):
        torch.cuda.reset_peak_memory_stats(device)
        input_gradient(
            network,
            x.expand(batch, -1, -1, -1).contiguous(),
            probability(torch.zeros(batch, dtype=torch.long, device=device)),
        )
        used.append(torch.cuda.max_memory_allocated(device))
    an_image = max(1, (used[1] - used[0]) / 4)
    room = GPU_MEMORY_SHARE * torch.cuda.get_device_properties(device).total_memory - used[0]
    return 1 << max(0, min(int(room / an_image), GPU_BATCH_LIMIT).bit_length() - 1)


def _image(network: Network, device: torch.device) -> torch.Tensor:
    """Some image that is nowhere flat, [1, 3, size, size]."""
    size = network.preprocessing.size
    ramp = torch.arange(3 * size * size, dtype=network.mean.dtype, device=device)  # type: ignore[arg-type]
    return (ramp * 0.7548776662).frac().view(1, 3, size, size)


def processor() -> str:
    """The name of the CPU, as far as the system tells."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
