"""Residual tensors in bulk, from frozen autoencoders."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coronet_core.autoencoder.tfen import TFEN
from coronet_core.common.batches import as_image
from coronet_core.common.literals import Precision
from coronet_core.common.precision import autocast


def freeze(module: nn.Module, device: torch.device) -> None:
    """Put `module` on `device` for inference: eval mode, channels last, no gradients kept."""
    module.eval().requires_grad_(requires_grad=False)
    module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs


@torch.inference_mode()
def residuals_of(tfen: TFEN, image: Tensor, precision: Precision) -> Tensor:
    """Return the residual tensor (B, 3, H, W) float32 of `image`, (B, 1, H, W) float32 in [0, 1].

    The difference of eq. (5)-(7) is taken in float32 under bf16 too; only the autoencoders' convolutions are not.
    """
    with autocast(image.device, precision):
        residual: Tensor = tfen(image)
    return residual


def stored_residuals(
    tfen: TFEN, images: NDArray[np.uint8], batch_size: int, precision: Precision, device: torch.device
) -> NDArray[np.float16]:
    """Return the residual tensors (n, 3, H, W) of `images` (n, H, W) as they are stored; `tfen` is on `device`.

    They are rounded there: half as many bytes come back from a GPU.
    """
    residuals = np.empty((len(images), 3, *images.shape[1:]), dtype=np.float16)
    for start in range(0, len(images), batch_size):
        stored = torch.from_numpy(images[start : start + batch_size]).to(device)
        residual = residuals_of(tfen, as_image(stored), precision)  # (B, 3, H, W)
        residuals[start : start + len(residual)] = residual.half().cpu().numpy()
    return residuals
