"""The control that sees the image but not the network: how strong an edge there is.

    A = sqrt(gx^2 + gy^2),   gx, gy: Sobel's derivatives of the grey image (mean of channels), border repeated

What a metric gives it, a metric gives to a map without any knowledge of the class (Adebayo et al., NeurIPS 2018,
https://arxiv.org/abs/1810.03292, compare saliency maps with an edge detector). Agrees with: scipy.ndimage `sobel`.
"""

from torch import nn
from torch.nn.functional import pad

from bench.rng import Rng
from bench.types import Images, Targets


def edge_map(model: nn.Module, x: Images, target: Targets, rng: Rng) -> Images:
    """Never negative, the same in all channels, in units of x; a step from 0 to 1 gives 4. No passes."""
    grey = pad(x.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey[:, :, :, 2:] - grey[:, :, :, :-2]  # [B, 1, H + 2, W]; slices, as a convolution may round to TF32
    down = grey[:, :, 2:] - grey[:, :, :-2]  # [B, 1, H, W + 2]
    gx = across[:, :, :-2] + 2 * across[:, :, 1:-1] + across[:, :, 2:]
    gy = down[:, :, :, :-2] + 2 * down[:, :, :, 1:-1] + down[:, :, :, 2:]
    return (gx * gx + gy * gy).sqrt().expand_as(x).contiguous()
