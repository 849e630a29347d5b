"""The task-based feature extraction network (TFEN), paper sec. 2.1: two autoencoders and what they miss."""

import torch
from torch import Tensor, nn

from coronet_core.autoencoder.fpae import FPAE


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
    """AE_H and AE_P side by side. Image in, residual tensor out."""

    def __init__(self, healthy: FPAE, pneumonia: FPAE) -> None:
        super().__init__()
        self.healthy = healthy
        self.pneumonia = pneumonia

    def forward(self, image: Tensor) -> Tensor:
        """Return the residual tensor (B, 3, H, W) of `image`, (B, 1, H, W) float in [0, 1]."""
        return residual_tensor(image, self.healthy(image).reconstruction, self.pneumonia(image).reconstruction)
