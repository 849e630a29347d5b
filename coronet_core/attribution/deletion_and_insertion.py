"""Deletion and insertion: does the network need the pixels that a map calls salient?"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from coronet_core.attribution.blur import blur
from coronet_core.attribution.pixel_ranking import salience_order


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
