"""A network in ONNX, run by ONNX Runtime: exported once, kept in the user's cache under what was exported.

The file's name is a digest of the weights as they are run (folded, if they are), the layers, the size of images and the
versions of the libraries. Of the code of a network only the names of its layers count; should that have changed under
the same weights, the comparison before the first score shows it, and the file is made anew.
"""

import contextlib
import copy
import hashlib
import importlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.networks.layers import probes
from bench.networks.network import Network
from bench.store.atomic import atomic_write
from bench.text import one_line
from bench.types import Images, Logits

PROVIDERS = {  # what a user says: ONNX Runtime's name, the device it computes on, the package that has it
    "CPU": ("CPUExecutionProvider", "cpu", "onnxruntime"),
    "CUDA": ("CUDAExecutionProvider", "cuda", "onnxruntime-gpu"),
    "TensorRT": ("TensorrtExecutionProvider", "cuda", "onnxruntime-gpu"),
    "OpenVINO": ("OpenVINOExecutionProvider", "cpu", "onnxruntime-openvino"),
}
OPERATOR = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'")
NO_ROOM = "Failed to allocate memory"  # how ONNX Runtime says it
INSTALL = 'pip install "heatproof[engine]"'


class Pixels(nn.Module):
    """From pixels to logits, as a module of nothing else."""

    def __init__(self, network: Network):
        super().__init__()
        self.net = copy.deepcopy(getattr(network.net, "_orig_mod", network.net))
        self.register_buffer("mean", network.get_buffer("mean").clone())
        self.register_buffer("std", network.get_buffer("std").clone())
        self.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def forward(self, pixels: Tensor) -> Tensor:
        return self.net((pixels - self.mean) / self.std)


def version(provider: str, device: torch.device) -> str:
    """Of ONNX Runtime.  UserError: it is not there, does not have the provider, or the images lie on another device."""
    runtime = _library("onnxruntime")
    for name in ("onnx", "onnxscript"):
        _library(name)
    named, kind, package = PROVIDERS[provider]
    there = [key for key, (known, *_) in PROVIDERS.items() if known in runtime.get_available_providers()]
    if provider not in there:
        raise UserError(
            f"compute.provider={provider}: the ONNX Runtime that is installed has {', '.join(there)}; pip install {package}."
        )
    if kind != device.type:
        fits = " or ".join(key for key in there if PROVIDERS[key][1] == device.type)
        cure = f"compute.provider={fits}" if fits else f"compute.device={kind}"
        raise UserError(f"compute.provider={provider} computes on {kind}, and the images lie on {device.type}: {cure}.")
    return str(runtime.__version__)


def opened(
    network: Network, provider: str, device: torch.device, *, tf32: bool, again: bool
) -> Callable[[Images], Logits]:
    """The network by ONNX Runtime. Exported first if there is no file of it, or `again`."""
    runtime = _library("onnxruntime")
    file = cache() / f"{digest(network)}.onnx"
    if again or not file.exists():
        print(f"Exporting {network.name} to ONNX, once: {file}", file=sys.stderr)
        with written(file) as path:
            export(network, path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.use_deterministic_compute = True
    # Its threads would wait by spinning, on cores on which torch puts the next frame together.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors
    named = PROVIDERS[provider][0]
    try:
        session = runtime.InferenceSession(
            str(file), options, providers=[(named, _options(provider, device, tf32, file.parent))]
        )
    except Exception as error:  # whatever a kernel that is missing or a broken file raises
        raise UserError(
            f"compute.engine=onnxruntime: {network.name} was exported and cannot be run by {provider}: {_first(error)}. "
            f"compute.engine=torch runs it; what was exported is {file}."
        ) from error
    if session.get_providers()[0] != named:  # it would go on without it
        raise UserError(f"compute.provider={provider}: ONNX Runtime could not start it here; is its library installed?")
    return _runner(session, device)


def digest(network: Network) -> str:
    """Of what is exported, and by whom."""
    versions = [str(torch.__version__), *(str(_library(name).__version__) for name in ("onnx", "onnxscript"))]
    scale = [network.get_buffer(name).flatten().tolist() for name in ("mean", "std")]
    net = getattr(network.net, "_orig_mod", network.net)
    parts = [network.digest(), str(net), network.preprocessing.size, scale, versions]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def export(network: Network, file: Path) -> None:
    """Write the network as ONNX, for any number of images of its size.  UserError: what of it has no counterpart there."""
    pixels = probes(network.preprocessing.size, network.get_buffer("mean").cpu())
    with torch.inference_mode(False), torch.no_grad(), _quiet(), _no_fast_path():
        try:
            program = torch.onnx.export(
                Pixels(network),
                (pixels.clone(),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("images")},),
                input_names=["pixels"],
                output_names=["logits"],
                verbose=False,
            )
            program.save(file)  # type: ignore[union-attr]
        except Exception as error:  # whatever the exporter, or somebody's forward under it, raises
            raise UserError(
                f"compute.engine=onnxruntime: {network.name} cannot be exported, {_culprit(error)}. Run it with "
                "compute.engine=torch, or compile."
            ) from error


def cache() -> Path:
    """Where exported networks lie: the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heatproof" / "onnx"


@contextlib.contextmanager
def written(file: Path) -> Iterator[Path]:
    """A path that is renamed to `file` when all is written.  UserError: the folder takes no files."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as path:
            yield path
    except OSError as error:
        raise UserError(
            f"The exported network cannot be kept in {file.parent} ({error.strerror}): set XDG_CACHE_HOME to a folder that "
            "takes it."
        ) from error


def _runner(session: object, device: torch.device) -> Callable[[Images], Logits]:
    """OutOfMemoryError: as torch says it, so that the width is halved."""
    classes = session.get_outputs()[0].shape[1]  # type: ignore[attr-defined]

    def run(x: Images) -> Logits:
        x = x.contiguous()
        logits = torch.empty(len(x), classes, dtype=torch.float32, device=x.device)
        binding = session.io_binding()  # type: ignore[attr-defined]
        for bind, name, value in ((binding.bind_input, "pixels", x), (binding.bind_output, "logits", logits)):
            bind(name, device.type, device.index or 0, np.float32, tuple(value.shape), value.data_ptr())
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # it computes in a stream of its own
        try:
            session.run_with_iobinding(binding)  # type: ignore[attr-defined]
        except Exception as error:  # its own kind, whatever is wrong
            if NO_ROOM in str(error):
                raise torch.OutOfMemoryError(str(error)) from error
            raise
        return logits

    return run


def _options(provider: str, device: torch.device, tf32: bool, folder: Path) -> dict[str, str]:
    """Of a provider: in the run's precision, on its device."""
    gpu = str(device.index or 0)
    return {
        "CPU": {},
        "CUDA": {"device_id": gpu, "use_tf32": str(int(tf32))},
        "TensorRT": {"device_id": gpu, "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)},
        "OpenVINO": {"device_type": "CPU", "num_of_threads": str(torch.get_num_threads()), "precision": "FP32"},
    }[provider]


def _culprit(error: BaseException) -> str:
    """The operator that has no counterpart, or what was said."""
    said, cause = [], error
    while cause is not None:
        said.append(str(cause))
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
    if operators := [name for text in said for name in OPERATOR.findall(text)]:
        return f"as ONNX has no operator for {operators[0]}"
    return f"which says {_first(said[-1])}"


def _first(error: object) -> str:
    return one_line(error, 300).rstrip(".")


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"compute.engine=onnxruntime needs {name} ({error}): {INSTALL}.") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters warn of much that is of no concern to who runs a network as it is."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _no_fast_path() -> Iterator[None]:
    """Attention as the operators that it is made of: torch's fused one has no counterpart in ONNX."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
