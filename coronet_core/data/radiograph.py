"""A radiograph as a file holds it: upright, grey, 8 bit, with what the file says of patient and projection."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coronet_core.data.notes import Note
from coronet_core.errors import DataError

MAX_PIXELS = 80_000_000
"""Twice what the largest radiography detectors give; below the size at which Pillow warns."""


@dataclass(frozen=True, kw_only=True)
class Radiograph:
    """An image that could be read, and what its header says."""

    grey: Image.Image  # mode L; air is dark
    width_px: int  # as stored
    height_px: int
    view: str | None = None
    sex: str | None = None
    age: float | None = None  # years
    notes: tuple[Note, ...] = ()
    contrast_gain: float = 1.0  # by which stored greys of 8 bits were stretched
    patient_id: str | None = field(default=None, repr=False)  # never to be written but as a keyed hash


def eight_bit(values: NDArray[np.generic]) -> Image.Image:
    """Return grey values (H, W) of any range as an image of 8 bits, from the darkest to the brightest of them.

    What X-ray machines store in 10 to 16 bits rarely fills its range: scaling by the range of the type would give
    12-bit values in a 16-bit file 4 bits of contrast. This is the first reading rule. Raises DataError when a
    value is not finite.
    """
    darkest, brightest = float(values.min()), float(values.max())
    if not np.isfinite([darkest, brightest]).all():
        raise DataError("pixel values that are not finite")
    scale = 255 / (brightest - darkest) if brightest > darkest else 0.0
    return Image.fromarray(((values.astype(np.float32) - darkest) * scale).round().astype(np.uint8))
