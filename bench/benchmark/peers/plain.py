"""The loop that a paper's script has: an image at a time, its order on the CPU, frames one by one into passes."""

import numpy as np
import torch
from torch import Tensor

from bench.benchmark.contest import Library, Material

PLAIN = Library("a plain loop", "", "", "")


def insertion_and_deletion(material: Material) -> Tensor:
    """[B, 2], areas under both curves; all values of an image in one order, black in place of what is gone."""
    step = material.job.metrics["unified"].keywords["step"]  # type: ignore[attr-defined]
    scores = []
    for image, target, heat in zip(material.on.x.contiguous(), material.on.target, material.maps, strict=True):
        order = torch.from_numpy(np.argsort(-heat.cpu().numpy().ravel())).to(image.device)
        black, areas = torch.zeros_like(image), []
        for start, end in ((black, image), (image, black)):
            frames = [start]
            for first in range(0, len(order), step):
                frame, going = frames[-1].clone(), order[first : first + step]
                frame.view(-1)[going] = end.view(-1)[going]
                frames.append(frame)
            parts = []
            with torch.no_grad():
                for first in range(0, len(frames), material.width):
                    logits = material.net(torch.stack(frames[first : first + material.width]))
                    parts.append(logits.softmax(dim=1)[:, int(target)].cpu())
            curve = torch.cat(parts)
            areas.append(float((curve.sum() - (curve[0] + curve[-1]) / 2) / (len(curve) - 1)))
        scores.append(areas)
    return torch.tensor(scores)
