"""Images and maps as PNG, and where on the image a map belongs."""

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coronet_core.data.options import Aspect

PREVIEW_PX: Final = 1024
"""Longer side of a preview: what a screen shows; the file itself stays with whoever sent it."""

Area = tuple[float, float, float, float]
"""Left, top, right and bottom as fractions of the image; beyond [0, 1] where the networks saw padding."""


def png(grey: Image.Image) -> bytes:
    """Return an image of mode L as PNG."""
    encoded = io.BytesIO()
    grey.save(encoded, "PNG", compress_level=3)
    return encoded.getvalue()


def preview_png(grey: Image.Image) -> bytes:
    """Return an image, made smaller if need be, in its own proportions, as PNG."""
    smaller = grey.copy()
    smaller.thumbnail((PREVIEW_PX, PREVIEW_PX), Image.Resampling.LANCZOS)
    return png(smaller)


def map_png(values: NDArray[np.floating], white: float) -> bytes:
    """Return `values` (H, W), at least 0, as PNG, `white` and all above it as 255."""
    scaled = np.clip(values / white, 0, 1) if white > 0 else np.zeros_like(values)
    return png(Image.fromarray((255 * scaled).round().astype(np.uint8)))


def seen_area(width_px: int, height_px: int, aspect: Aspect) -> Area:
    """Return which part of an image its square shows: what a map of the square has to be laid over."""
    if aspect is Aspect.STRETCH:
        return (0.0, 0.0, 1.0, 1.0)
    side_px = min(width_px, height_px) if aspect is Aspect.CROP else max(width_px, height_px)
    across, down = side_px / width_px / 2, side_px / height_px / 2
    return (0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down)
