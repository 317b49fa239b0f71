"""Tensor aliases with shapes. B images, C classes, S frames of a curve, H by W pixels."""

from collections.abc import Callable

from jaxtyping import Bool, Float, Int
from torch import Tensor

Images = Float[Tensor, "B 3 H W"]  # pixels in [0, 1], or one score per input value
Logits = Float[Tensor, "B C"]
Targets = Int[Tensor, "B"]
PerImage = Float[Tensor, "B"]
Curves = Float[Tensor, "B S"]
Masks = Bool[Tensor, "B H W"]
Objective = Callable[[Logits], PerImage]  # what is differentiated: one number per image, from its logits
