"""Test images with parts of them hidden: what a network still scores on the rest, it did not read in the hidden part.

Maguolo and Nanni 2020 found networks that saw COVID-19 as well with the lungs blacked out; DeGrave et al. 2021 found
that they read the borders and the text of the source instead. Four views of each image ask for that:

    as_is                     the whole image
    lungs_masked              a box over the lungs is filled
    only_border               all but an outer frame is filled
    borders_and_text_masked   that frame is filled, and bright text by the edges is wiped out

Masked regions have the same grey in all images: an image's own mean would reveal how grey its lungs were.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from coronet_core.support.callbacks import noop

View = Literal["as_is", "lungs_masked", "only_border", "borders_and_text_masked"]

VIEWS: Final[tuple[View, ...]] = get_args(View)
VIEW_NAMES: Final[Mapping[View, str]] = {
    "as_is": "whole image",
    "lungs_masked": "lungs masked",
    "only_border": "border only",
    "borders_and_text_masked": "borders and text masked",
}
"""What pages and logs call them."""

FILL: Final = 0.5
STROKE_FRACTION: Final = 0.06
"""Text has strokes thinner than this share of the image's shorter side,"""
TEXT_BRIGHTNESS: Final = 0.75
"""is at least this bright,"""
TEXT_CONTRAST: Final = 0.25
"""is brighter than what is around it by this much,"""
TEXT_ZONE_FRACTION: Final = 0.22
"""and lies no further than this from the nearest edge. The four wipe out 98% of the phantoms' text and touch no lung
of them; of 300 real X-rays they change 0.2% of the middle."""
SURROUNDINGS_FRACTION: Final = 0.16
"""What takes the text's place is taken from so far around, further than a word is high."""
Floats = NDArray[np.float64]
CELLS: Final = 16
"""A simple classifier sees an image as so many cells a side."""


@dataclass(frozen=True)
class Regions:
    """Where lungs and borders are taken to be, as fractions of the image's sides."""

    lungs_box: tuple[float, float, float, float]
    """Left, top, right, bottom."""
    border_fraction: float
    """Width of the outer frame."""


def seen_as(view: View, image: Tensor, regions: Regions) -> Tensor:
    """Return `view` of `image`, (B, 1, H, W) float in [0, 1], in the same shape."""
    if view == "lungs_masked":
        return lungs_masked(image, regions.lungs_box)
    if view == "only_border":
        return only_border(image, regions.border_fraction)
    if view == "borders_and_text_masked":
        return borders_and_text_masked(image, regions.border_fraction)
    return image


def lungs_masked(image: Tensor, box: tuple[float, float, float, float]) -> Tensor:
    """Return `image`, (B, 1, H, W) in [0, 1], with `box` (left, top, right, bottom as fractions) filled."""
    return _filled(image, _in_box(image, box))


def only_border(image: Tensor, border_fraction: float) -> Tensor:
    """Return `image`, (B, 1, H, W) in [0, 1], with all but an outer frame filled."""
    return _filled(image, _inside(image, border_fraction))


def borders_and_text_masked(image: Tensor, border_fraction: float) -> Tensor:
    """Return `image`, (B, 1, H, W) in [0, 1], with an outer frame filled and text wiped out."""
    return _filled(without_text(image), ~_inside(image, border_fraction))


def without_text(image: Tensor) -> Tensor:
    """Return `image`, (B, 1, H, W) in [0, 1], with small bright glyphs near its edges replaced by what surrounds them.

    A glyph is what a morphological opening takes away (the white top-hat): a structure thinner than STROKE_FRACTION,
    bright, and of high contrast. A wider opening's value takes its place, and that of the pixels around it, which a
    resize has mixed with it. Black or faint text, and text larger than that, stays.
    """
    stroke_px = _odd_px(image, STROKE_FRACTION)
    top_hat = image - _opened(image, stroke_px)
    is_text = (image >= TEXT_BRIGHTNESS) & (top_hat >= TEXT_CONTRAST) & ~_inside(image, TEXT_ZONE_FRACTION)
    near_text = _highest(is_text.to(image), stroke_px) > 0
    return torch.where(near_text, torch.minimum(image, _opened(image, _odd_px(image, SURROUNDINGS_FRACTION))), image)


def _odd_px(image: Tensor, fraction: float) -> int:
    """At least a pixel and its neighbours."""
    return max(3, round(fraction * min(image.shape[-2:])) | 1)


def _opened(image: Tensor, side_px: int) -> Tensor:
    return _highest(-_highest(-image, side_px), side_px)


def _highest(image: Tensor, side_px: int) -> Tensor:
    """Dilate by a square of `side_px`, odd: down and then across, which is the same and much faster."""
    down = functional.max_pool2d(image, (side_px, 1), stride=1, padding=(side_px // 2, 0))
    return functional.max_pool2d(down, (1, side_px), stride=1, padding=(0, side_px // 2))


def _inside(image: Tensor, frame_fraction: float) -> Tensor:
    """All but the outer frame, as booleans (H, W)."""
    return _in_box(image, (frame_fraction, frame_fraction, 1 - frame_fraction, 1 - frame_fraction))


def _in_box(image: Tensor, box: tuple[float, float, float, float]) -> Tensor:
    height, width = image.shape[-2:]
    left, top, right, bottom = box
    inside = torch.zeros(height, width, dtype=torch.bool, device=image.device)
    inside[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    return inside


def _filled(image: Tensor, where: Tensor) -> Tensor:
    return image.masked_fill(where, FILL)


@torch.inference_mode()
def read_by_view(
    read: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    regions: Regions,
    on_images: Callable[[int], object] = noop,
) -> dict[View, Floats]:
    """Return what `read`, images (B, 1, H, W) in and (B, k) out, makes of every view: (n, k) each.

    `batches` are the images in [0, 1]; `on_images` receives the number of images done.
    """
    parts: dict[View, list[Floats]] = {view: [] for view in VIEWS}
    for image in batches:
        for view in VIEWS:
            parts[view].append(read(seen_as(view, image, regions)).double().cpu().numpy())
        on_images(len(image))
    return {view: np.concatenate(predictions) for view, predictions in parts.items()}


def cells(image: Tensor) -> Tensor:
    """Return the mean grey of CELLS x CELLS cells of `image`, (B, 1, H, W), as (B, CELLS^2)."""
    return functional.adaptive_avg_pool2d(image, CELLS).flatten(1)
