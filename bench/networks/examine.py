"""A network is examined when it is opened, before anything that costs: four passes of two images, one of eight.

What would make every number wrong without a word is refused in one sentence; what is merely unusual is a warning.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.networks.layers import probes
from bench.networks.network import Network
from bench.text import one_line

TOLERANCE = 1e-3  # of the largest logit: more than rounding
PLACES = 8  # of a batch
CHECKPOINTS = "hooks on saved tensors"


def examine(network: Network, allow_chance: bool = False) -> tuple[int, list[str]]:
    """The number of classes, and warnings. Changes nothing, counts no pass, draws from no stream that is anybody's.

    allow_chance: a network whose answer depends on chance or on batch mates is only warned of.
    """
    _as_measured(network)
    x, warnings = probes(network.preprocessing.size, network.get_buffer("mean")), []
    with streams_kept(), torch.no_grad():
        logits = _logits(network, x)
        buffers = {name: value.clone() for name, value in network.net.named_buffers()}  # a first pass may fill a cache
        again, alone = _logits(network, x), _logits(network, x[:1])
        moved = [name for name, value in network.net.named_buffers() if not _same(buffers.get(name), value)]
    if not logits.isfinite().all():
        raise UserError(
            f"{network.name} answers a picture with NaN or infinity: nothing can be scored. Are its weights whole?"
        )
    if logits.is_floating_point() and torch.finfo(logits.dtype).bits < torch.finfo(x.dtype).bits:
        raise UserError(
            f"{network.name} answers in {_short(logits.dtype)}; half precision is not measured. Let its forward stay in "
            f"{_short(x.dtype)}."
        )
    if logits.shape[1] < 2:
        raise UserError(
            f"{network.name} gives one logit; insertion and softmax need two: let forward return "
            "torch.cat([torch.zeros_like(z), z], dim=1)."
        )
    unsteady = {
        "gives another answer when the same image is shown again (dropout that eval() does not reach?)": again - logits,
        "gives an image another answer alone than among others (batch statistics?)": alone - logits[:1],
    }
    odd = [what for what, apart in unsteady.items() if _beyond_rounding(apart, logits)]
    odd += [f"changes {name} whenever it is asked (a running mean?)" for name in moved[:1]]
    if odd and not allow_chance:
        raise _meaningless(network, odd[0])
    warnings += [f"{network.name} {what}" for what in odd]
    _differentiable(network, x, None if allow_chance else logits)
    if not allow_chance:
        _alike_everywhere(network, logits, x)
    if (logits >= 0).all() and torch.allclose(logits.sum(dim=1), torch.ones(2, dtype=logits.dtype), atol=1e-3):
        warnings.append(
            f"the outputs of {network.name} add up to 1 as probabilities do; Heatproof takes them for logits and applies a "
            "softmax of its own. If they are, let forward return what comes before."
        )
    return logits.shape[1], warnings


def _beyond_rounding(apart: Tensor, logits: Tensor) -> bool:
    return bool(apart.abs().max() > TOLERANCE * logits.abs().max())


def _meaningless(network: Network, what: str) -> UserError:
    return UserError(
        f"{network.name} {what}: no score of it would mean anything. Mend its forward, or say compute.allow_chance=true."
    )


def _alike_everywhere(network: Network, logits: Tensor, x: Tensor) -> None:
    """UserError: an image has another answer at another place of a batch.  logits: of x."""
    with streams_kept(), torch.no_grad():
        places = _logits(network, x[:1].repeat(PLACES, 1, 1, 1))
    if _beyond_rounding(places - places[:1], logits):
        raise _meaningless(network, "gives an image another answer at another place of a batch")
    if _beyond_rounding(places - logits[:1], logits):
        raise _meaningless(network, f"gives an image another answer in a batch of {PLACES} than of two")


def _same(before: Tensor | None, now: Tensor) -> bool:
    """Whether a buffer, which may be a new one, holds what it held."""
    return before is not None and before.shape == now.shape and torch.equal(before.nan_to_num(), now.nan_to_num())


def _as_measured(network: Network) -> None:
    """UserError: weights of another precision than the images', or packed so that they have no plain values."""
    wanted = network.get_buffer("mean").dtype
    packed = {
        name: type(module).__name__
        for name, module in network.net.named_modules()
        if "quantized" in type(module).__module__
    }
    state = [*network.net.named_parameters(), *network.net.named_buffers()]
    odd = packed | {name: kind for name, value in state if (kind := _odd(value, wanted))}
    if odd:
        name, kind = next(iter(odd.items()))
        raise UserError(
            f"{network.name} is not in plain {_short(wanted)} ({name}: {kind}); half-precision and quantised "
            "weights are not measured. Load them into the float32 network (net.float())."
        )


def _odd(value: Tensor, wanted: torch.dtype) -> str | None:
    """What the value is instead of numbers of this precision. Whole numbers may be a buffer (counters, positions)."""
    learnt = isinstance(value, nn.Parameter) or value.is_floating_point() or value.is_complex() or value.is_quantized
    if learnt and value.dtype != wanted:
        return _short(value.dtype)
    return None if type(value) in (Tensor, nn.Parameter) else type(value).__name__


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def streams_kept() -> AbstractContextManager:
    """The global random streams stay as they are, of every device that has been used."""
    used = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    return torch.random.fork_rng(devices=used)


def _logits(network: Network, x: Tensor) -> Tensor:
    """What the network says of these images, [B, C]. UserError: it says something else."""
    try:
        output = network.net((x - network.mean) / network.std)
    except (Exception, SystemExit) as error:  # whatever somebody's forward raises
        if CHECKPOINTS in str(error):
            raise UserError(_checkpoints(network)) from error
        first = next((module for module in network.net.modules() if isinstance(module, nn.Conv2d)), None)
        if first is not None and first.in_channels != 3:
            raise UserError(
                f"{network.name} takes images of {first.in_channels} channels; Heatproof explains R, G and B. Wrap it in a "
                "module that makes of three what it takes."
            ) from error
        why = one_line(error, 200)
        size = network.preprocessing.size
        raise UserError(
            f"{network.name} fails on images of {size} × {size}: {why} ({type(error).__name__})."
        ) from error
    if not isinstance(output, Tensor):
        raise UserError(
            f"{network.name} returns {_described(output, len(x))}; logits were expected, a tensor [B, C]. Name a module of "
            "yours as net._target_ whose forward returns that part alone."
        )
    if output.layout is not torch.strided:
        raise UserError(f"{network.name} returns a sparse tensor; let forward return its to_dense().")
    if output.ndim != 2 or len(output) != len(x):
        raise UserError(
            f"{network.name} returns a tensor {list(output.shape)} of {len(x)} images; logits were expected, [B, C]. "
            "Is there a classifier at its end?"
        )
    return output


def _described(output: object, images: int) -> str:
    """'a tuple whose part 0 looks like the logits'."""
    if isinstance(output, Mapping):
        parts, kind = {f"[{key!r}]": value for key, value in output.items()}, "mapping"
    elif isinstance(output, tuple | list):
        names = getattr(output, "_fields", None)
        parts, kind = {f".{names[k]}" if names else f"[{k}]": value for k, value in enumerate(output)}, "tuple"
    else:
        parts, kind = (
            {f".{key}": value for key, value in vars(output).items()} if hasattr(output, "__dict__") else {},
            "",
        )
    article = f"a {type(output).__name__}" + (f" (a {kind})" if kind and kind != type(output).__name__ else "")
    for name, value in parts.items():
        if isinstance(value, Tensor) and value.ndim == 2 and len(value) == images:
            return f"{article} whose part {name} {list(value.shape)} looks like the logits"
    return article


def _differentiable(network: Network, x: Tensor, answered: Tensor | None) -> None:
    """UserError: logits vary with the image, and no gradient says so; or they are others where gradients are followed.

    answered: the logits without gradients; None: they need not be these.
    """
    x = x.clone().requires_grad_()
    with streams_kept(), torch.enable_grad(), torch.autograd.graph.disable_saved_tensors_hooks(CHECKPOINTS):
        logits = _logits(network, x)
        if answered is not None and _beyond_rounding(logits.detach() - answered, answered):
            raise _meaningless(network, "answers otherwise where gradients are followed (torch.is_grad_enabled()?)")
        try:
            first = logits[0, 0] if logits[0, 0].requires_grad else logits.sum()
            gradient = torch.autograd.grad(first, x, allow_unused=True)[0] if logits.requires_grad else None
        except Exception as error:  # whatever somebody's backward raises
            if "checkpoint" in str(error):
                raise UserError(_checkpoints(network)) from error
            why = one_line(error, 200)
            raise UserError(f"{network.name} cannot be differentiated: {why} ({type(error).__name__}).") from error
    if gradient is None and torch.equal(logits[0], logits[1]):
        raise UserError(
            f"{network.name} answers different pictures alike, and no gradient reaches its input: there is nothing to "
            "attribute. Does its forward use what it is given?"
        )
    varies = bool(logits[0, 0] != logits[1, 0])
    if gradient is None or varies and not gradient.any():
        raise UserError(
            f"No gradient of {network.name} reaches its input, and most methods follow it: its forward detaches, rounds, or "
            "runs under no_grad."
        )


def _checkpoints(network: Network) -> str:
    return (
        f"{network.name} computes parts of itself again in the backward pass (torch.utils.checkpoint), where methods cannot "
        "follow. That saves memory in training and changes no number: switch it off (set_grad_checkpointing(False))."
    )
