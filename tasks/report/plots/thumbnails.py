"""Small pictures of single images: X-ray, residuals and attribution map, without axes."""

import base64
import io
from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.report.plots.attribution_maps import OVERLAY, relative_salience

SIDE_PX: Final = 288
"""Of an X-ray; a residual or a map is half as wide."""
QUALITY: Final = 80
"""Of WebP: an X-ray of 288 px takes about 6 KB, a tenth of its PNG."""


@dataclass(frozen=True)
class Thumbnail:
    """A small square picture as the report embeds it."""

    webp: bytes
    alt: str
    side_px: int

    @property
    def data_uri(self) -> str:
        """The WebP as a data URI."""
        return "data:image/webp;base64," + base64.b64encode(self.webp).decode()


def xray(image: NDArray[np.uint8], alt: str) -> Thumbnail:
    """Return a picture of `image` (H, W) in [0, 255]."""
    return _encoded(image, alt, SIDE_PX)


def residual(channel: NDArray[np.float16], brightest: float, alt: str) -> Thumbnail:
    """Return a picture of a `channel` (H, W) of a residual tensor; from `brightest` on it has the brightest colour."""
    return _encoded(_coloured(channel.astype(np.float32) / (brightest or 1), "magma"), alt, SIDE_PX // 2)


def overlaid_map(image: NDArray[np.uint8], salience: NDArray[np.float32], alt: str) -> Thumbnail:
    """Return a picture of `image` (H, W) under its map `salience` (H, W), at least 0."""
    coloured = _coloured(relative_salience(salience), "viridis")
    mixed = (1 - OVERLAY) * image[..., None] + OVERLAY * coloured  # (H, W, 3)
    return _encoded(mixed.round().astype(np.uint8), alt, SIDE_PX // 2)


def _coloured(values: NDArray[np.float32], colours: str) -> NDArray[np.uint8]:
    """Return `values` (H, W), of which [0, 1] is shown, in colours (H, W, 3)."""
    coloured: NDArray[np.uint8] = mpl.colormaps[colours](values.clip(0, 1), bytes=True)[..., :3]
    return coloured


def _encoded(pixels: NDArray[np.uint8], alt: str, side_px: int) -> Thumbnail:
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels).resize((side_px, side_px), Image.Resampling.BICUBIC)
    picture.save(buffer, format="webp", quality=QUALITY)
    return Thumbnail(buffer.getvalue(), alt, side_px)
