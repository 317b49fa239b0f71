"""Tensor aliases with shapes. B images, C classes, S frames of a curve, H by W pixels."""

from collections.abc import Callable
from typing import TypeAlias

from jaxtyping import Bool, Float, Int
from torch import Tensor

Images: TypeAlias = Float[Tensor, "B 3 H W"]  # pixels in [0, 1], or one score per input value
Logits: TypeAlias = Float[Tensor, "B C"]
Targets: TypeAlias = Int[Tensor, "B"]  # noqa: F821
PerImage: TypeAlias = Float[Tensor, "B"]  # noqa: F821
Curves: TypeAlias = Float[Tensor, "B S"]
Masks: TypeAlias = Bool[Tensor, "B H W"]
Objective: TypeAlias = Callable[[Logits], PerImage]  # what is differentiated: one number per image, from its logits
