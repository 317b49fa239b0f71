"""A network of one's own: pixels, normalised as conf/model/lenet.yaml says, to the logits of four shapes."""

from torch import Tensor, nn


class LeNet(nn.Module):
    """Two convolutions for 32 x 32 pixels."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 12, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 24, 5), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(24 * 25, 4))

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, 32, 32] to logits [B, 4]."""
        return self.head(self.features(x))
