"""How a photograph becomes a network's input. Part of every run id: resampling moves scores."""

from dataclasses import dataclass, replace

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

from bench.errors import UserError

CROPS = ("center", "squash", "border")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")


@dataclass(frozen=True)
class Preprocessing:
    """To `resize` pixels, centre crop to `size`, pixels in [0, 1]. Normalisation belongs to the network.

    A `resize` below `size` leaves a black frame (but with crop: border), as three of timm's weights want it.

    crop: how a picture that is not square gets to `resize`. center: its shorter side; squash: both sides, out of
    proportion; border: its longer side, and `fill` is added. As in timm, of whose weights one in fourteen is of the latter.
    """

    size: int
    resize: int
    interpolation: str = "bilinear"  # Pillow's, always antialiased
    crop: str = "center"
    fill: tuple[int, int, int] = (0, 0, 0)  # r, g, b of 255: around a picture with crop: border
    down: bool = False  # a crop in the middle of an odd rest: the corner rounds down, as in transformers; else to even

    def __post_init__(self):
        for key, known in (("crop", CROPS), ("interpolation", INTERPOLATIONS)):
            if getattr(self, key) not in known:
                raise UserError(f"model.{key}={getattr(self, key)}: expected {', '.join(known)}.")

    def __call__(self, image: Image.Image, crop: bool = True) -> torch.Tensor:
        """float32 [3, size, size]. With crop=False the picture is taken as prepared: resampled only if its size differs."""
        image = image.convert("RGB")
        if crop:
            image = self._cropped(image)
        elif image.size != (self.size, self.size):
            image = self._resampled(image, [self.size, self.size])
        return F.pil_to_tensor(image).float() / 255

    def nearest(self, image: Image.Image, crop: bool = True) -> torch.Tensor:
        """The same way for a drawing of masks: no value is mixed, and what is added is black."""
        return replace(self, interpolation="nearest", fill=(0, 0, 0))(image, crop)

    def _cropped(self, image: Image.Image) -> Image.Image:
        if self.crop == "center":
            image = self._resampled(image, [self.resize])
        elif self.crop == "squash":
            image = self._resampled(image, [self.resize, self.resize])
        else:
            longest = max(image.size) / self.resize
            image = self._resampled(image, [max(1, round(side / longest)) for side in (image.height, image.width)])
            image = self._padded(image)
        if self.down and min(image.size) >= self.size:
            left, top = ((side - self.size) // 2 for side in image.size)
            return image.crop((left, top, left + self.size, top + self.size))
        return F.center_crop(image, [self.size, self.size])

    def _padded(self, image: Image.Image) -> Image.Image:
        """At least size × size, the picture in the middle."""
        across, down = (max(0, self.size - side) for side in image.size)
        return F.pad(image, [across // 2, down // 2, across - across // 2, down - down // 2], fill=list(self.fill))

    def _resampled(self, image: Image.Image, size: list[int]) -> Image.Image:
        """size: of both sides, height first, or of the shorter one."""
        return F.resize(image, size, F.InterpolationMode(self.interpolation), antialias=True)
