"""Occlusion (Zeiler and Fergus 2014): how far the probability falls where a window of the image is blurred.

A window of K x K pixels goes over the image in steps of T; in each place its content is replaced by the blurred
image, and a pixel's salience is the mean fall of the probability over the windows that hold it:

    s(u) = mean over windows w with u in w of  max(0, p_c(X) - p_c(X with blur(X) in w))

A window whose blurring helps the class counts as 0: the map shows evidence for the class, as the others do.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from coronet_core.attribution.blur import blur
from coronet_core.support.callbacks import noop


@dataclass(frozen=True, kw_only=True)
class Occlusion:
    """Settings of the method."""

    window_px: int
    stride_px: int
    """At most `window_px`, or pixels would lie in no window."""
    null_blur_radius_px: float
    """Standard deviation of the blur that makes the image without evidence."""


@torch.no_grad()
def occlusion_maps(
    probabilities: Callable[[Tensor], Tensor],
    image: Tensor,
    target: Tensor,
    settings: Occlusion,
    on_window: Callable[[], object] = noop,
    null: Tensor | None = None,
) -> Tensor:
    """Return attribution maps (B, 1, H, W) float32 in [0, 1] of `image`, (B, 1, H, W) in [0, 1], for `target` (B,).

    `null`, like `image`, is the image without evidence; None is its blur.
    """
    if null is None:
        null = blur(image, settings.null_blur_radius_px)
    whole = _of_class(probabilities(image), target)  # (B,)
    fall, windows = torch.zeros_like(image), torch.zeros_like(image)
    for top in _starts(image.shape[2], settings):
        for left in _starts(image.shape[3], settings):
            there = (..., slice(top, top + settings.window_px), slice(left, left + settings.window_px))
            occluded = image.clone()
            occluded[there] = null[there]
            fell = (whole - _of_class(probabilities(occluded), target)).clamp_min(0)  # (B,)
            fall[there] += fell[:, None, None, None]
            windows[there] += 1
            on_window()
    return fall / windows


def n_windows(height: int, width: int, settings: Occlusion) -> int:
    """Return how many windows an image has."""
    return len(_starts(height, settings)) * len(_starts(width, settings))


def _starts(length: int, settings: Occlusion) -> list[int]:
    """Where windows begin on a side; the last one ends with it."""
    last = max(length - settings.window_px, 0)
    return [*range(0, last, settings.stride_px), last]


def _of_class(probabilities: Tensor, target: Tensor) -> Tensor:
    return probabilities.gather(1, target[:, None])[:, 0]
