"""Inputs of the CIN: the paper's residual tensor, and the alternatives it is compared with."""

from typing import Final

import torch
from torch import Tensor

from coronet_core.common.batches import Subset, as_image
from coronet_core.common.literals import CinInput

PLANES: Final[dict[CinInput, tuple[int, ...]]] = {
    "residual_tensor": (1, 2, 3),  # eq. (5)-(7)
    "healthy_residual": (1, 1, 1),  # AE_H alone, eq. (5)
    "pneumonia_residual": (2, 2, 2),  # AE_P alone, eq. (6)
    "image": (0, 0, 0),  # no autoencoder: a ResNet-18 on the X-ray
    "residual_tensor_and_image": (1, 2, 3, 0),
}
"""Channels of each input among X (0) and the channels of its residual tensor (1 to 3)."""


def cin_input(kind: CinInput, image: Tensor, residual: Tensor) -> Tensor:
    """Return what a CIN of this `kind` reads, (B, len(PLANES[kind]), H, W) float32.

    `image` is X, (B, 1, H, W) float32 in [0, 1], and `residual` its residual tensor (B, 3, H, W). One that the kind
    does not use may have no rows.
    """
    if kind == "residual_tensor":
        return residual
    return torch.cat([image if plane == 0 else residual[:, plane - 1 : plane] for plane in PLANES[kind]], dim=1)


class CinInputs:
    """The CIN's inputs of chosen images, put together batch by batch from the stacks that hold their parts."""

    def __init__(self, kind: CinInput, images: Subset, residuals: Subset) -> None:
        """`images` holds uint8 (n, H, W), `residuals` (n, 3, H, W) of the same images in the same order."""
        self._kind = kind
        self.images = images
        self._residuals = residuals
        self.device = residuals.device

    def __len__(self) -> int:
        return len(self._residuals)

    def take(self, positions: Tensor) -> Tensor:
        """Return the inputs at `positions` (int64, on `self.device`), (B, C, H, W) float32, channels last."""
        nothing = positions[:0]
        planes = PLANES[self._kind]
        image = as_image(self.images.take(positions if 0 in planes else nothing))
        residual = self._residuals.take(positions if any(planes) else nothing).float()
        return cin_input(self._kind, image, residual).contiguous(memory_format=torch.channels_last)

    def draw(self, positions: Tensor, epoch_seed: int) -> Tensor:  # noqa: ARG002  # as augmented inputs have it
        """Return the inputs at `positions`, which are the same in every epoch."""
        return self.take(positions)
