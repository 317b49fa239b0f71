"""saliency (https://github.com/PAIR-code/saliency), of the authors of Guided IG."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from bench.benchmark.contest import Library, Material

SALIENCY = Library("saliency", "saliency", "saliency", '"saliency>=0.2.1"')


def guided_ig(material: Material) -> Tensor:
    from saliency.core import GuidedIG
    from saliency.core.base import INPUT_OUTPUT_GRADIENTS

    x, settings = material.on.x, material.settings

    def gradients(batch, call_model_args, expected_keys):
        points = torch.from_numpy(batch).to(x).requires_grad_()
        value = material.net(points).softmax(dim=1)[:, call_model_args["class"]].sum()
        return {INPUT_OUTPUT_GRADIENTS: torch.autograd.grad(value, points)[0].cpu().numpy()}

    with quantile_as_it_was():
        made = [
            GuidedIG().GetMask(
                image.contiguous().double().cpu().numpy(),
                gradients,
                {"class": target},
                x_baseline=np.full(image.shape, settings["baseline"]),
                x_steps=settings["steps"],
                fraction=settings["fraction"],
                max_dist=settings["max_distance"],
            )
            for image, target in zip(x, material.on.target.tolist(), strict=True)
        ]
    return torch.from_numpy(np.stack(made))


@contextmanager
def quantile_as_it_was() -> Iterator[None]:
    """saliency 0.2.1 says `interpolation` where NumPy now says `method`."""
    now = np.quantile
    np.quantile = lambda a, q, interpolation: now(a, q, method=interpolation)  # type: ignore[assignment]
    try:
        yield
    finally:
        np.quantile = now
