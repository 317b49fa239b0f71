"""Quantus (https://github.com/understandable-machine-intelligence-lab/Quantus): pixel flipping."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.benchmark.contest import Library, Material

QUANTUS = Library("Quantus", "quantus", "quantus", '"quantus>=0.6"')


def pixel_flipping(material: Material) -> Tensor:
    """[B, 2], areas under both curves. It deletes only: with the map's sign turned the least important values go first, and
    its curve read backwards is that of insertion. It leaves out the image itself, which is asked for here.

    Its own area asks NumPy for `trapz`, which is gone.
    """
    import quantus

    step = material.job.metrics["unified"].keywords["step"]  # type: ignore[attr-defined]
    black: Any = 0.0  # which it takes, though its annotation says a name
    metric = quantus.PixelFlipping(
        features_in_step=step, abs=False, normalise=False, perturb_baseline=black, disable_warnings=True
    )
    images, target = material.on.x.contiguous().cpu().numpy(), material.on.target
    with torch.no_grad():
        clean = material.net(material.on.x).softmax(dim=1).gather(1, target[:, None]).cpu()

    def curve(maps: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that black pixels stay as they are
            found = metric(
                model=material.net,
                x_batch=images,
                y_batch=target.cpu().numpy(),
                a_batch=maps.contiguous().cpu().numpy(),
                softmax=True,
                device=str(material.on.x.device),
                batch_size=material.width,
            )
        return torch.cat([clean, torch.from_numpy(np.array(found)).to(clean)], dim=1)

    deletion, insertion = curve(material.maps), curve(-material.maps).flip(1)
    areas = [torch.trapezoid(c, dx=1 / (c.shape[1] - 1), dim=1) for c in (insertion, deletion)]
    return torch.stack(areas, dim=1)
