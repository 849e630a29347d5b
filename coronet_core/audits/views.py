"""Every view of a stack of images, read batch by batch."""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from coronet_core.audits.masking import VIEWS, Regions, View, seen_as
from coronet_core.support.callbacks import ignore

Floats = NDArray[np.float64]

CELLS: Final = 16
"""A simple classifier sees an image as so many cells a side."""


@torch.inference_mode()
def read_by_view(
    read: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    regions: Regions,
    on_images: Callable[[int], object] = ignore,
) -> dict[View, Floats]:
    """Return what `read`, images (B, 1, H, W) in and (B, k) out, makes of every view: (n, k) each.

    `batches` are the images in [0, 1]; `on_images` is told how many of them are done.
    """
    parts: dict[View, list[Floats]] = {view: [] for view in VIEWS}
    for image in batches:
        for view in VIEWS:
            parts[view].append(read(seen_as(view, image, regions)).double().cpu().numpy())
        on_images(len(image))
    return {view: np.concatenate(answers) for view, answers in parts.items()}


def cells(image: Tensor) -> Tensor:
    """Return the mean grey of CELLS x CELLS cells of `image`, (B, 1, H, W), as (B, CELLS^2)."""
    return functional.adaptive_avg_pool2d(image, CELLS).flatten(1)
