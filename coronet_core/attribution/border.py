"""The share of salience on the image's border, where text and laterality markers are, and lungs are not.

A network that reads the source of an image instead of the lungs (DeGrave et al. 2021) looks there. A map that favours
no place has as much salience in the frame as the frame has area.
"""

import torch
from torch import Tensor


def frame(height: int, width: int, fraction: float) -> Tensor:
    """Return the outer frame (H, W) bool: pixels nearer to an edge than `fraction` of that side."""
    rows, columns = ((torch.arange(side) + 0.5) / side for side in (height, width))
    outside = [(place < fraction) | (place > 1 - fraction) for place in (rows, columns)]
    return outside[0][:, None] | outside[1]


def mass_within(salience: Tensor, region: Tensor) -> Tensor:
    """Return the share (B,) of each map's salience that lies in `region`; NaN for a map without any.

    `salience` (B, 1, H, W) is at least 0; `region` is bool, (H, W) for all maps or (B, 1, H, W) for each.
    """
    return (salience * region).sum((1, 2, 3)) / salience.sum((1, 2, 3))
