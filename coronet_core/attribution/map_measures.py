"""Measures of a map: does the network need what it calls salient, and does that lie in a radiologist's boxes?"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from coronet_core.attribution.blur import blur
from coronet_core.common.seeds import generator

TIES_SEED = 0
Boxes = Sequence[Sequence[float]]
"""Left, top, right and bottom of each box, as fractions of the image's sides."""


def salience_order(salience: Tensor) -> Tensor:
    """Return the pixels of maps (B, 1, H, W) from the most to the least salient: their places (B, H * W) int64.

    Equal pixels (a mask clamped at 1, a gradient of 0) follow one another in a random order, the same for all images
    and runs. In the order of their rows, a flat map would be one that looks from top to bottom.
    """
    flat = salience.flatten(1)  # (B, H * W)
    places = torch.randperm(flat.shape[1], generator=generator(TIES_SEED, "ties")).to(flat.device)
    return places[flat[:, places].argsort(dim=1, descending=True, stable=True)]


class Curves(NamedTuple):
    """Probabilities of the explained class after 0 to S steps, each (B, S + 1) float32."""

    deletion: Tensor
    insertion: Tensor


@torch.no_grad()
def deletion_and_insertion(
    probabilities: Callable[[Tensor], Tensor],
    image: Tensor,
    target: Tensor,
    salience: Tensor,
    *,
    steps: int,
    null_blur_radius_px: float,
) -> Curves:
    """Return the curves of maps `salience` (B, 1, H, W) of `image`, (B, 1, H, W) in [0, 1], for `target` (B,).

    Deletion and insertion are of Petsiuk et al. 2018. All images take a step at once. With the image's blur at radius
    `null_blur_radius_px` for pixels that are gone.
    """
    null = blur(image, null_blur_radius_px)
    order = salience_order(salience)
    ranks = order.argsort(dim=1).view_as(salience)  # (B, 1, H, W), 0 for the most salient pixel
    n_pixels = order.shape[1]
    curves: list[list[Tensor]] = [[], []]
    for step in range(steps + 1):
        gone = ranks < round(step * n_pixels / steps)
        for curve, there, elsewhere in zip(curves, (null, image), (image, null), strict=True):
            predicted = probabilities(torch.where(gone, there, elsewhere))  # (B, 3)
            curve.append(predicted.gather(1, target[:, None])[:, 0])
    return Curves(*(torch.stack(curve, dim=1) for curve in curves))


def area(curve: Tensor) -> Tensor:
    """Return the area (B,) under curves (B, S + 1) over the share of pixels, by trapezoids; in [0, 1]."""
    return (curve[:, :-1] + curve[:, 1:]).mean(dim=1) / 2


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
