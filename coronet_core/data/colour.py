"""Telling X-rays that are stored in colour from colour photographs."""

import numpy as np
from PIL import Image

from coronet_core.errors import DataError

PROBE_PX = 128
LUMINANCE_STEP = 16
MAX_CHROMA = 24
"""Distance from the tint, in grey levels, up to which a pixel passes for grey: what JPEG and scanners do."""
MAX_COLOURED_SHARE = 0.15
"""Red arrows cover 2% of an X-ray of the covid-chestxray collection; photographs are coloured all over."""


def refuse_colour(image: Image.Image) -> None:
    """Raise DataError if `image` is a colour photograph.

    X-rays come in RGB, and films are tinted, but a tint is a function of the brightness. The share of pixels counts
    that are far from the median tint of their brightness.
    """
    probe = image.convert("RGB").resize((PROBE_PX, PROBE_PX), Image.Resampling.BOX)
    red, green, blue = np.asarray(probe, dtype=np.int16).reshape(-1, 3).T
    brightness = (red + green + blue) // 3 // LUMINANCE_STEP
    far = np.zeros(len(red), dtype=bool)
    for chroma in (red - green, blue - green):
        for step in np.unique(brightness):
            members = brightness == step
            far[members] |= abs(chroma[members] - np.median(chroma[members])) > MAX_CHROMA
    if far.mean() > MAX_COLOURED_SHARE:
        raise DataError(f"colour photograph ({far.mean():.0%} of it is coloured)")
