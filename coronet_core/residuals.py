"""Residual tensors in bulk, from frozen autoencoders."""

import torch
from torch import Tensor, nn

from coronet_core.models.tfen import TFEN
from coronet_core.options import Precision
from coronet_core.precision import autocast


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
