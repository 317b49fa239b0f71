"""Counting confident images, and what the counts say."""

import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.images.source import Batch
from scripts.identify_images import count, main, verdict


class Brightness(nn.Module):
    """Logits whose largest softmax probability is the first pixel, of class 1."""

    def forward(self, x):
        p = x[:, 0, 0, 0]
        return torch.stack([1 - p, p], dim=1).log()


def batch(levels: list[float], labels: list[int | None], width: int) -> Batch:
    x = torch.tensor([*levels, *levels[-1:] * (width - len(levels))]).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    return Batch([str(level) for level in levels], x, labels, None, [])


def test_counts_images_not_padding():
    batches = [batch([0.9, 0.6, 0.75], [1, 1, 0], 3), batch([0.8], [None], 3)]
    assert count(Brightness(), batches, 0.7) == (4, 3, 3, 2)


def test_the_threshold_itself_counts():
    half = [batch([0.5], [1], 1)]  # of two equal logits each has exactly one half
    assert count(Brightness(), half, 0.5)[1] == 1
    assert count(Brightness(), half, 0.5001)[1] == 0


@pytest.mark.parametrize(
    ("found", "images", "says"),
    [
        ((923, 825, 780), 1000, "Set A: "),
        ((716, 791, 648), 1000, "Set B: "),
        ((920, 829, 781), 1000, "Set A, most probably: its counts are 923 / 825 / 780, at most 4"),
        ((716, 791, 660), 1000, "Neither set: the nearer, B, has 716 / 791 / 648, up to 12"),
        ((923, 791, 648), 1000, "Neither set: "),
        ((923, 825, 780), 999, "No verdict: the papers' sets have 1000 images, these are 999"),
    ],
)
def test_verdicts(found, images, says):
    assert verdict(found, images).startswith(says)


def test_weights_that_are_not_there_are_said_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="There is no weight file .*no.pth"):
        main([f"model.weights={tmp_path / 'no.pth'}", "data.limit=1"])
