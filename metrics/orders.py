"""Which values go first. The papers have one sentence for it and their programs three meanings; here each has a name.

channel_union  each channel is ranked alone, and a pixel goes, in all channels, as soon as any channel's turn comes
               (INS/DEL in the released AGI, MFABA, AttEXplore code and LA's Tables 2 and 4)
channel        each channel is ranked alone and goes alone (the papers' sentence, taken literally)
element        one ranking of all 3HW values (U-INS/U-DEL in LA and AII)
element_spread the same, with ties all over the picture instead: what a score owes to how they are broken
pixel          channels are averaged first (RISE)
"""

import torch
from torch import Tensor

from bench.exact import exact
from bench.types import Images

SPREAD = 0x9E3779B9  # 2^32 by the golden ratio: multiples of it, modulo 2^32, lie evenly, and no two are equal
OF_ALL = ("element", "element_spread")  # orders that rank the values of all channels together


def reveal_index(attribution: Images, order: str, step: int) -> tuple[Tensor, int]:
    """When each value's turn comes: int32 [B, 3 or 1, H, W] in 0 … steps − 1, and the number of steps.

    step: values that go at once, of HW in each channel (`element`: of 3HW).
    Largest first. Equal values go by descending flat index, as an unstable ascending sort, reversed, left them in the
    released programs when a whole map was equal: blue before red, from the bottom row up, which is a shape of its own.
    `element_spread`: by index * SPREAD modulo 2^32, which has none.
    """
    batch, channels, height, width = attribution.shape
    match order:
        case "channel_union":
            tau = (_rank(attribution.flatten(2)) // step).amin(dim=1, keepdim=True)
        case "channel":
            tau = _rank(attribution.flatten(2)) // step
        case "element":
            tau = (_rank(attribution.flatten(1)) // step).view(batch, channels, -1)
        case "element_spread":
            tau = (_rank(attribution.flatten(1), spread=True) // step).view(batch, channels, -1)
        case "pixel":
            tau = (_rank(attribution.mean(dim=1, keepdim=True).flatten(2))) // step
        case _:
            raise ValueError(f"order {order!r}: expected channel_union, channel, element, element_spread or pixel")
    values = height * width * (channels if order in OF_ALL else 1)
    return tau.view(batch, -1, height, width), -(-values // step)


def _rank(values: Tensor, spread: bool = False) -> Tensor:
    """Position of each value along the last axis, the largest first; of equal values the last one first. int32."""
    n, device, values = values.shape[-1], values.device, exact(values)
    if spread:
        ties = (torch.arange(n, device=values.device) * SPREAD % 2**32).argsort()
        order = ties[values[..., ties].argsort(dim=-1, descending=True, stable=True)]
    else:
        order = n - 1 - values.flip(-1).argsort(dim=-1, descending=True, stable=True)
    positions = torch.arange(n, dtype=torch.int32, device=values.device).expand_as(order)
    return torch.empty_like(order, dtype=torch.int32).scatter_(-1, order, positions).to(device)
