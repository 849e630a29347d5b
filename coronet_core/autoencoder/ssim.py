"""Structural similarity (SSIM) of images: Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Process. 13(4), 2004.

With means m, variances v and the covariance c of x and y under a Gaussian window (11 x 11, deviation 1.5):

    SSIM = (2 m_x m_y + C1) (2 c + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2)),  C1 = 0.01^2, C2 = 0.03^2

for grey values in [0, 1], where windows lie wholly within the image, as in the authors' code.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

WINDOW_PX: Final = 11
DEVIATION_PX: Final = 1.5
C1: Final = 0.01**2
C2: Final = 0.03**2


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean SSIM (B,) of images `x` and `y`, each (B, 1, H, W) in [0, 1], H and W at least 11; in [-1, 1].

    It is computed in float32 at least, under autocast too: variances are differences of close numbers.
    """
    with torch.autocast(x.device.type, enabled=False):
        kind = torch.promote_types(x.dtype, torch.float32)
        x, y = x.to(kind), y.to(kind)
        means = _windowed(torch.cat([x, y, x * x, y * y, x * y], dim=1))  # (B, 5, H - 10, W - 10)
        mean_x, mean_y, square_x, square_y, product = means.unbind(dim=1)
        variances = square_x - mean_x.square() + square_y - mean_y.square()
        luminance = (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)
        structure = (2 * (product - mean_x * mean_y) + C2) / (variances + C2)
        return (luminance * structure).mean(dim=(1, 2))


def _windowed(planes: Tensor) -> Tensor:
    """Return the Gaussian means of (B, C, H, W) at each place where the window fits."""
    offsets = torch.arange(WINDOW_PX, device=planes.device, dtype=planes.dtype) - WINDOW_PX // 2
    window = torch.exp(-offsets.square() / (2 * DEVIATION_PX**2))
    window = window / window.sum()
    n_planes = planes.shape[1]
    down, across = (window.view(shape).expand(n_planes, 1, *shape[2:]) for shape in ((1, 1, -1, 1), (1, 1, 1, -1)))
    return functional.conv2d(functional.conv2d(planes, down, groups=n_planes), across, groups=n_planes)
