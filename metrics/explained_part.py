"""What is left of the answer when only the explained part of the image is seen. Chattopadhay, Sarkar, Howlader &
Balasubramanian, WACV 2018 (Grad-CAM++), https://arxiv.org/abs/1710.11063, Section 4.1: the map, scaled to [0, 1], times x.
"""

from torch import Tensor

from bench.exact import double
from metrics.batch import MapBatch


def whole_and_part(batch: MapBatch) -> tuple[Tensor, Tensor]:
    """p_t(x) and p_t(M x), [B]; M: the map, its channels averaged, its least value 0 and its largest 1. A map that is flat
    shows nothing. One forward pass beside the clean image's.
    """
    heat = batch.attribution.mean(dim=1, keepdim=True)
    low, high = heat.amin(dim=(2, 3), keepdim=True), heat.amax(dim=(2, 3), keepdim=True)
    shown = (heat - low) / (high - low).where(high > low, 1)
    part = batch.read(batch.x * shown)
    return double(batch.clean()["probability"]), double(part["probability"])
