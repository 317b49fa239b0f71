"""What a value becomes when it is taken away. (Or `linear`, what its surroundings suggest: metrics/imputation.py.)"""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from bench.types import Images

BLUR = (11, 5.0)  # RISE's kernel (pixels) and standard deviation


def baseline_image(name: str, x: Images, colour: Callable[[], Tensor]) -> Images:
    """Shape of x. `black` is 0 in pixel space, before normalisation; `confusion` is AII's colour of the network."""
    match name:
        case "black":
            return torch.zeros_like(x)
        case "grey":
            return torch.full_like(x, 0.5)
        case "confusion":
            return colour().to(x).view(1, 3, 1, 1).expand_as(x).clone()
        case "blur":
            size, sigma = BLUR
            return gaussian_blur(x, [size, size], [sigma, sigma])
        case _:
            raise ValueError(f"baseline {name!r}: expected black, confusion, grey, blur or linear")
