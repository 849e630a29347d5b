"""Augmentation: random flips of what the CIN reads, and changes of X-rays before the autoencoders see them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coronet_core.autoencoder.residual_tensor import TFEN, residuals_of
from coronet_core.classifier.inputs import PLANES, cin_input
from coronet_core.common.batches import Subset, as_image
from coronet_core.common.literals import CinInput, Precision
from coronet_core.common.seeds import derive_seed


def random_mask(n: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Toss a coin for each of `n` images: (n,) bool on `device`."""
    tossed = torch.randint(2, (n,), generator=rng, pin_memory=device.type == "cuda")
    return tossed.to(device, non_blocking=True).bool()


def flipped(x: Tensor, chosen: Tensor, dim: int) -> Tensor:
    """Return `x` (B, ...) with the rows that `chosen` (B,) bool names flipped along `dim`."""
    return torch.where(chosen.view(-1, *[1] * (x.dim() - 1)), x.flip(dim), x)  # (B, 1, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """By how much X-rays are changed at random, each by its own numbers, drawn uniformly. 0 leaves them as they are."""

    rotation_degrees: float = 0.0
    """In either direction."""
    shift: float = 0.0
    """As a fraction of each side, in either direction."""
    scale: float = 0.0
    """The size is 1 - scale to 1 + scale times the original."""
    crop: float = 0.0
    """The largest part of the area that is cut away; what is left is enlarged to the full size."""
    brightness: float = 0.0
    """Grey levels are multiplied by 1 - brightness to 1 + brightness."""
    contrast: float = 0.0
    """Distances from the mean grey level are multiplied by 1 - contrast to 1 + contrast."""

    @property
    def is_off(self) -> bool:
        """Whether images stay as they are."""
        return self == Augmentation()

    def __call__(self, image: Tensor, seeds: Sequence[int]) -> Tensor:
        """Return `image` (B, 1, H, W) float32 in [0, 1], each changed by its seed; what is moved in is black."""
        if self.is_off:
            return image
        from torchvision.transforms import InterpolationMode, v2  # late: not every stage augments

        steps: list[v2.Transform] = []
        if self.rotation_degrees or self.shift or self.scale:
            steps.append(
                v2.RandomAffine(
                    self.rotation_degrees,
                    translate=(self.shift, self.shift),
                    scale=(1 - self.scale, 1 + self.scale),
                    interpolation=InterpolationMode.BILINEAR,
                )
            )
        if self.crop:
            steps.append(v2.RandomResizedCrop(image.shape[-2:], scale=(1 - self.crop, 1.0), ratio=(0.9, 1.1)))
        if self.brightness or self.contrast:
            steps.append(v2.ColorJitter(brightness=self.brightness, contrast=self.contrast))
        change = v2.Compose(steps)
        changed = []
        with torch.random.fork_rng(devices=[]):  # the transforms draw from torch's own generator
            for one, seed in zip(image, seeds, strict=True):
                torch.default_generator.manual_seed(seed)  # the CPU's alone: a GPU's belongs to the training
                changed.append(change(one))
        return torch.stack(changed) if changed else image


class AugmentedInputs:
    """The CIN's inputs of chosen images, changed at random first; each change has its own residual tensors."""

    def __init__(
        self, kind: CinInput, images: Subset, tfen: TFEN, augmentation: Augmentation, precision: Precision
    ) -> None:
        """`images` holds uint8 (n, H, W); `tfen` is frozen, on their device, and computes in `precision`."""
        self._kind = kind
        self._images = images
        self._tfen = tfen
        self._augmentation = augmentation
        self._precision = precision
        self.device = images.device

    def __len__(self) -> int:
        return len(self._images)

    def draw(self, positions: Tensor, epoch_seed: int) -> Tensor:
        """Return inputs at `positions` (int64, on `self.device`), (B, C, H, W) float32, channels last.

        An image is changed in the same way in an epoch, whatever batch it is in.
        """
        seeds = [derive_seed(epoch_seed, "augmentation", position) for position in positions.tolist()]
        image = self._augmentation(as_image(self._images.take(positions)), seeds)
        needs_residual = any(PLANES[self._kind])
        residual = residuals_of(self._tfen, image, self._precision) if needs_residual else image[:0]
        rounded = residual.half().float().clone()  # as they are stored; no tensor of inference mode
        scaled = self._tfen.scaled(rounded) if needs_residual else rounded
        return cin_input(self._kind, image, scaled).contiguous(memory_format=torch.channels_last)
