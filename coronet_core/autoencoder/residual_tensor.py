"""The residual tensor (TFEN, paper sec. 2.1): what two autoencoders miss of an image, for a batch or in bulk."""

from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_scale import ResidualScale
from coronet_core.common.batches import as_image
from coronet_core.common.literals import Precision
from coronet_core.common.precision import autocast


def residual_tensor(image: Tensor, healthy: Tensor, pneumonia: Tensor) -> Tensor:
    """Return the residual tensor of eq. (5)-(7), (B, 3, H, W) float in [0, 2].

    `image` is X, `healthy` F_H(X), `pneumonia` F_P(X), each (B, 1, H, W) in [0, 1]:

        channel 0  |X - F_H|            eq. (5)
        channel 1  |X - F_P|            eq. (6)
        channel 2  |2X - F_H - F_P|     eq. (7)
    """
    unexplained_h = image - healthy
    unexplained_p = image - pneumonia
    return torch.cat([unexplained_h, unexplained_p, unexplained_h + unexplained_p], dim=1).abs()  # (B, 3, H, W)


class TFEN(nn.Module):
    """AE_H and AE_P side by side. Image in, residual tensor out, as the CIN reads it."""

    def __init__(self, healthy: FPAE, pneumonia: FPAE, scale: ResidualScale | None = None) -> None:
        super().__init__()
        self.healthy = healthy
        self.pneumonia = pneumonia
        self.scale = scale

    def forward(self, image: Tensor) -> Tensor:
        """Return the residual tensor (B, 3, H, W) of `image`, (B, 1, H, W) float in [0, 1], scaled if need be."""
        return self.scaled(self.residual(image))

    def residual(self, image: Tensor) -> Tensor:
        """Return the residual tensor of eq. (5)-(7), (B, 3, H, W) in [0, 2]."""
        return residual_tensor(image, self.healthy(image).reconstruction, self.pneumonia(image).reconstruction)

    def scaled(self, residual: Tensor) -> Tensor:
        """Return what the CIN reads of a residual tensor (B, 3, H, W) float32: without a scale the same."""
        return residual if self.scale is None else self.scale(residual)

    def scaled_as_stored(self, residuals: NDArray[np.float16]) -> NDArray[np.float16]:
        """Return what the CIN reads of stored residual tensors (n, 3, H, W), rounded as they are; on the CPU."""
        if self.scale is None:
            return residuals
        scale = deepcopy(self.scale).cpu()
        stored: NDArray[np.float16] = scale(torch.from_numpy(residuals).float()).half().numpy()
        return stored


def freeze(module: nn.Module, device: torch.device) -> None:
    """Put `module` on `device` for inference: eval mode, channels last, no gradients kept."""
    module.eval().requires_grad_(requires_grad=False)
    module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs


@torch.inference_mode()
def residuals_of(tfen: TFEN, image: Tensor, precision: Precision) -> Tensor:
    """Return the residual tensor (B, 3, H, W) float32 of `image`, (B, 1, H, W) float32 in [0, 1], without a scale.

    The difference of eq. (5)-(7) is taken in float32 under bf16 too; only the autoencoders' convolutions are not.
    """
    with autocast(image.device, precision):
        residual: Tensor = tfen.residual(image)
    return residual


def stored_residuals(
    tfen: TFEN, images: NDArray[np.uint8], batch_size: int, precision: Precision, device: torch.device
) -> NDArray[np.float16]:
    """Return the residual tensors (n, 3, H, W) of `images` (n, H, W), rounded; `tfen`'s scale is left to the caller.

    They are rounded on `device`, where `tfen` is: half as many bytes come back from a GPU.
    """
    residuals = np.empty((len(images), 3, *images.shape[1:]), dtype=np.float16)
    for start in range(0, len(images), batch_size):
        stored = torch.from_numpy(images[start : start + batch_size]).to(device)
        residual = residuals_of(tfen, as_image(stored), precision)  # (B, 3, H, W)
        residuals[start : start + len(residual)] = residual.half().cpu().numpy()
    return residuals
