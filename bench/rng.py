"""The only module that makes random numbers: one stream per image.

A stream is a hash of a counter (SplitMix64's mixing function, applied twice), so a draw is arithmetic on a tensor: all
images at once, on the device, the same numbers on every device. (Apple's MPS has no kernel for the normal distribution's
quantiles: its draws are made on the CPU and moved.) What an image is dealt depends on (seed, name, image id)
and on how much was drawn before, never on batch mates, batch size, shard or order.
"""

import hashlib
import math
import random  # noqa: TID251 (others draw from it)
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from torch import Tensor

from bench.exact import exact_device

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
BLOCK = 1 << 17  # values that are made at a time on a CPU, so that they stay in its cache

Draw = Callable[[Tensor, Tensor, Tensor], Tensor]  # [B, n] of both keys, [B, 1], and how far the counter is, [n]


class Rng:
    """Random numbers for a batch of images. `name` keeps the streams of two methods or metrics apart.

    shared: the seed of what all images of a run are dealt alike; None: seed.
    """

    def __init__(
        self, seed: int, name: str, ids: Sequence[str], device: torch.device | str = "cpu", shared: int | None = None
    ):
        self.seed, self.name, self.ids = seed, name, list(ids)
        self.shared = seed if shared is None else shared
        digests = [hashlib.sha256(f"{seed}/{name}/{i}".encode()).digest() for i in ids]
        keys = [[_signed(int.from_bytes(d[:8], "big")), _signed(int.from_bytes(d[8:16], "big"))] for d in digests]
        self.device = torch.device(device)
        self.keys_at_hand = torch.tensor(keys, dtype=torch.int64).reshape(len(self.ids), 2)
        self.keys = self.keys_at_hand.to(exact_device(device))
        self.drawn = 0

    def uniform(self, *shape: int) -> Tensor:
        """float32 [B, *shape], evenly spread over the open interval (0, 1), 2^23 levels."""
        return self._made(self.keys, shape, _uniform).to(self.device)

    def uniform_at_hand(self, *shape: int) -> np.ndarray:
        """What `uniform` draws, made on the CPU: a few numbers to decide by, for which the device is not waited for."""
        return self._made(self.keys_at_hand, shape, _uniform).numpy()

    def normal(self, *shape: int) -> Tensor:
        """float32 [B, *shape], standard normal."""
        return self._made(self.keys, shape, lambda *block: torch.special.ndtri(_uniform(*block))).to(self.device)

    def integers(self, high: int, *shape: int) -> Tensor:
        """int64 [B, *shape], each of 0 … high − 1 equally likely (to 1 part in 2^63 / high)."""

        def below(*block: Tensor) -> Tensor:
            return _last(_words(*block)).bitwise_and_((1 << 63) - 1).remainder_(high)

        return self._made(self.keys, shape, below).to(self.device)

    def of_the_run(self) -> "Rng":
        """The one stream that all images of a run share, for what is drawn once per run (a list of classes, say)."""
        return Rng(self.shared, f"{self.name}/run", [""], self.device)

    def named(self, name: str) -> "Rng":
        """The streams of another name, from their beginning."""
        return Rng(self.seed, name, self.ids, self.device, self.shared)

    def for_images(self, index: Tensor) -> "Rng":
        """The streams of some of the images (an index may repeat), as far as they have been drawn."""
        part = Rng(self.seed, self.name, [], self.device, self.shared)
        part.ids, part.drawn = [self.ids[i] for i in index.tolist()], self.drawn
        part.keys, part.keys_at_hand = self.keys[index.to(self.keys.device)], self.keys_at_hand[index.tolist()]
        return part

    def _made(self, keys: Tensor, shape: Sequence[int], draw: Draw) -> Tensor:
        """[B, *shape] where the keys are. Counters run on from draw to draw."""
        count = math.prod(shape)
        wide = max(1, BLOCK // max(1, len(keys))) if keys.device.type == "cpu" else max(1, count)
        steps = torch.arange(min(wide, count), dtype=torch.int64, device=keys.device) * _signed(GOLDEN)
        first, second, blocks = keys[:, :1], keys[:, 1:], []
        for start in range(0, max(1, count), wide):
            counted = _signed((self.drawn + 1 + start) * GOLDEN & WORD)
            blocks.append(draw(first + counted, second, steps[: count - start]))
        self.drawn += count
        made = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=1)
        return made.view(len(keys), *shape)


def lots(seed: int, name: str, ids: Sequence[str]) -> list[int]:
    """One for each id, whichever others there are and in whatever order: ids in the order of their lots are shuffled."""
    return Rng(seed, name, ids).integers(1 << 62).tolist()


def _words(first: Tensor, second: Tensor, steps: Tensor) -> Tensor:
    """int64 [B, n], the hash of each counter but for its last step.  first, second: [B, 1].  steps: [n]."""
    words = first + steps
    spare = torch.empty_like(words)
    _last(_mixed(words, spare), spare).bitwise_xor_(second)
    return _mixed(words, spare)


def _mixed(words: Tensor, spare: Tensor) -> Tensor:
    """SplitMix64's finaliser but for its last step, in place; int64 multiplication wraps."""
    for shift, factor in MIX:
        _shifted_in(words, shift, spare).mul_(_signed(factor))
    return words


def _last(words: Tensor, spare: Tensor | None = None) -> Tensor:
    """The finaliser's last step. It leaves the upper 31 bits alone."""
    return _shifted_in(words, 31, torch.empty_like(words) if spare is None else spare)


def _shifted_in(words: Tensor, by: int, spare: Tensor) -> Tensor:
    """words ^ words >> by, in place; masked, as the shift spreads the sign bit."""
    torch.bitwise_right_shift(words, by, out=spare)
    return words.bitwise_xor_(spare.bitwise_and_((1 << (64 - by)) - 1))


def _uniform(first: Tensor, second: Tensor, steps: Tensor) -> Tensor:
    """float32, the middles of 2^23 levels: of the upper 23 bits, which the finaliser's last step would not change."""
    if steps.device.type == "cuda" and torch.version.cuda:
        halves = (half for words in (first, second, steps) for half in _halves(words))
        with torch.cuda.device(steps.device):
            return _fused_uniform()(*halves).view(torch.float32)
    words = _words(first, second, steps)
    return words.bitwise_right_shift_(41).int().bitwise_and_(0x7FFFFF).float().add_(0.5).mul_(2.0**-23)


@cache
def _fused_uniform() -> Callable[..., Tensor]:
    """The same bits in one kernel, which goes over memory once; step by step a GPU does so some twenty times.

    All that such a kernel takes and makes is of one type: halves of words and bits of a float, both as int32.
    """
    mixed = " ".join(f"word = (word ^ (word >> {shift})) * {factor:#x}ull;" for shift, factor in MIX)
    body = f"{mixed} word = (word ^ (word >> 31)) ^ both(second, second_high); {mixed}"
    kernel = torch.cuda.jiterator._create_jit_fn(
        "template <typename T> unsigned long long both(T low, T high) {"
        " return (unsigned long long)(unsigned)high << 32 | (unsigned)low; }"
        "template <typename T> T uniform(T first, T first_high, T second, T second_high, T step, T step_high) {"
        f" unsigned long long word = both(first, first_high) + both(step, step_high); {body}"
        f" return __float_as_int(((float)(int)(word >> 41) + 0.5f) * {2.0**-23!r}f); }}"
    )
    with warnings.catch_warnings():  # of a home in which nothing can be kept: it is compiled once a process then
        warnings.simplefilter("ignore")
        kernel(*[torch.zeros(1, dtype=torch.int32, device="cuda")] * 6)
    return kernel


def _halves(words: Tensor) -> Sequence[Tensor]:
    """The lower and the upper 32 bits of each."""
    return words.contiguous().view(torch.int32).unflatten(-1, (-1, 2)).unbind(-1)


def _signed(word: int) -> int:
    """The int64 with these 64 bits."""
    return word - (1 << 64) if word >> 63 else word


@contextmanager
def global_streams(seed: int, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Inside, the global generators of torch, NumPy and Python, which only others' code draws from, run from this seed;
    afterwards they are as they were.

    devices: those whose generator is put back besides the CPU's.
    """
    of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: TID251
    with torch.random.fork_rng(devices=[device for device in devices if device.type == "cuda"]):
        try:
            for start in (torch.manual_seed, np.random.seed, random.seed):  # noqa: TID251
                start(seed)
            yield
        finally:
            np.random.set_state(of_numpy)  # noqa: TID251
            random.setstate(of_python)
