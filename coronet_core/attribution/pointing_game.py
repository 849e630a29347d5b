"""The pointing game (Zhang et al. 2016): is the most salient pixel in one of the boxes that a radiologist drew?"""

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

    Of several that are most salient, one is taken at random.
    """
    return region.flatten(1).gather(1, salience_order(salience)[:, :1])[:, 0]
