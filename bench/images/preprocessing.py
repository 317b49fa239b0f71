"""How a photograph becomes a network's input. Part of every run id: resampling moves scores."""

from dataclasses import dataclass

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F


@dataclass(frozen=True)
class Preprocessing:
    """Shorter side to `resize`, centre crop to `size`, pixels in [0, 1]. Normalisation belongs to the network."""

    size: int
    resize: int
    interpolation: str = "bilinear"  # Pillow's, always antialiased

    def __call__(self, image: Image.Image, crop: bool = True) -> torch.Tensor:
        """float32 [3, size, size]. With crop=False the picture is taken as prepared: resampled only if its size differs."""
        image = image.convert("RGB")
        how = F.InterpolationMode(self.interpolation)
        if crop:
            image = F.center_crop(F.resize(image, [self.resize], how, antialias=True), [self.size, self.size])
        elif image.size != (self.size, self.size):
            image = F.resize(image, [self.size, self.size], how, antialias=True)
        return F.pil_to_tensor(image).float() / 255
