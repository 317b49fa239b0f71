"""Gradients with respect to the input, and the objectives they are taken of.

An objective turns logits into one number per image. Batch mates never meet: each image's number depends on its own
logits alone, so the gradient of the batch's sum holds every image's own gradient.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from bench.notes import note_passes
from bench.passes import through
from bench.types import Images, Logits, Objective, PerImage, Targets


def input_gradient(model: nn.Module, x: Images, objective: Objective) -> Images:
    """d objective(model(x)) / d x, image by image. One forward and one backward pass."""
    return gradients(model, x, [objective])[1][0]


def gradients(model: nn.Module, x: Images, objectives: Sequence[Objective]) -> tuple[Logits, list[Images]]:
    """The logits, and the gradient of each objective, from one forward pass and a backward pass each."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        logits = model(x)
        values = [objective(logits).sum() for objective in objectives]
    last = len(values) - 1
    found = [torch.autograd.grad(value, x, retain_graph=n < last)[0] for n, value in enumerate(values)]
    return logits.detach(), found


def probability_gradients(model: nn.Module, points: Iterable[Images], target: Targets, own: int) -> Iterator[Images]:
    """d p_t / d x at each of these points, in full passes, one forward and backward pass an image and point, which is noted.

    points: asked for ahead of gradients.  own: how many of their places hold an image of their own.
    """
    count = 0
    for (gradient,) in through(lambda x, places: (input_gradient(model, x, probability(target[places])),), points, own):
        count += 1
        yield gradient
    note_passes(target, count, count)


def probability(target: Targets) -> Objective:
    """p_t, the softmax probability of each image's target class."""
    return lambda logits: at(logits.softmax(dim=1), target)


def log_probability(target: Targets) -> Objective:
    """log p_t: the direction of p_t's gradient without its underflow."""
    return lambda logits: at(logits.log_softmax(dim=1), target)


def at(values: Tensor, target: Targets) -> PerImage:
    """Each row's own entry: values[i, target[i]]."""
    return values.gather(1, target[:, None]).squeeze(1)


def per_image(values: PerImage) -> Tensor:
    """[B] as [B, 1, 1, 1], to multiply images with."""
    return values[:, None, None, None]
