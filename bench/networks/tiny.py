"""TinyNet: a network small enough to lie in this repository, so that every example and test has one that works."""

from pathlib import Path

from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("tiny.safetensors")  # made by scripts/train_tiny.py
CHANNELS = (16, 32, 32, 64, 64, 80)


class TinyNet(nn.Module):
    """Six convolutions for 64 x 64 inputs, normalised to (x - 0.5) / 0.5; ten classes, 117 thousand parameters.

    Plain on purpose: every method's rules and hooks (DeepLIFT, Grad-CAM) apply to its layers as they are.
    """

    def __init__(self):
        super().__init__()
        c = CHANNELS
        self.stem = stage(3, c[0])
        self.body = nn.Sequential(
            nn.MaxPool2d(2),  # 32 x 32
            *stage(c[0], c[1]),
            *stage(c[1], c[2]),
            nn.MaxPool2d(2),  # 16 x 16
            *stage(c[2], c[3]),
            *stage(c[3], c[4]),
            nn.MaxPool2d(2),  # 8 x 8
        )
        self.features = stage(c[4], c[5])  # the last convolution, what Grad-CAM looks at
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(c[5], 10)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to logits [B, 10]."""
        return self.head(self.pool(self.features(self.body(self.stem(x)))).flatten(1))


def stage(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
