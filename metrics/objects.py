"""What a map is held against where the object is known: its heat, the object, what counts at all, and chance."""

from torch import Tensor

from bench.exact import exact
from metrics.batch import MapBatch, Unfit


def heat_and_object(batch: MapBatch) -> tuple[Tensor, Tensor, Tensor]:
    """heat [B, HW], each pixel's sum of channels; inside and counted, bool [B, HW]: the object, and all that is judged. On
    their exact device (bench/exact.py).

    Raises Unfit for images without a mask.
    """
    if batch.mask is None:
        raise Unfit(
            "it needs to know where the object is, and these images come without masks; choose a source that draws them "
            "(data=synthetic) or give them (data.masks=boxes, imagenet_s or folder), or leave out localisation, pointing, "
            "rank_accuracy and auc_mask."
        )
    heat, inside = exact(batch.attribution.sum(dim=1).flatten(1)), exact(batch.mask.flatten(1))
    counted = ~exact(batch.ignored.flatten(1)) if batch.ignored is not None else inside.new_ones(inside.shape)
    return heat, inside & counted, counted


def share(inside: Tensor, counted: Tensor) -> Tensor:
    """[B]: of the pixels that count, how many are the object's. What a map of random values scores."""
    return inside.sum(dim=1).double() / counted.sum(dim=1).clamp(min=1)
