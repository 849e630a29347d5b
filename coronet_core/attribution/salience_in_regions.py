"""Where the salience of a map lies: in a radiologist's boxes, or at the border of the image."""

from collections.abc import Sequence

import torch
from torch import Tensor

from coronet_core.attribution.pixel_ranking import salience_order

Boxes = Sequence[Sequence[float]]
"""Left, top, right and bottom of each box, as fractions of the image's sides."""


def box_mask(boxes: Boxes, height: int, width: int, tolerance_px: float = 0) -> Tensor:
    """Return the pixels (H, W) bool whose middle lies in a box, or at most `tolerance_px` beside one."""
    rows, columns = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    inside = torch.zeros(height, width, dtype=torch.bool)
    for left, top, right, bottom in boxes:
        down = (rows >= top * height - tolerance_px) & (rows <= bottom * height + tolerance_px)
        across = (columns >= left * width - tolerance_px) & (columns <= right * width + tolerance_px)
        inside |= down[:, None] & across
    return inside


def points_into(salience: Tensor, region: Tensor) -> Tensor:
    """Return whether the most salient pixel of each map (B, 1, H, W) lies in its `region`, (B, 1, H, W): (B,) bool.

    It is a hit of the pointing game (Zhang et al. 2016). Of several that are most salient, one is taken at random.
    """
    return region.flatten(1).gather(1, salience_order(salience)[:, :1])[:, 0]


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
