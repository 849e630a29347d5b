"""A radiograph as a file holds it: upright, grey, 8 bit, with patient, projection and notes on faults."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from coronet_core.support.errors import DataError

MAX_PIXELS = 80_000_000
"""Twice what the largest radiography detectors give; below the size at which Pillow warns."""
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # what is larger is refused
TOO_MUCH_MEMORY = "takes too much memory to decode"


@contextmanager
def image_faults() -> Iterator[None]:
    """Turn what Pillow raises into a DataError. Only calls of Pillow belong inside."""
    try:
        yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("not an image") from error
    except Image.DecompressionBombError as error:
        raise DataError("decompression bomb") from error
    except MemoryError as error:
        raise DataError(TOO_MUCH_MEMORY) from error
    except Exception as error:  # Pillow's decoders raise whatever they please
        raise DataError(f"truncated or damaged image ({error or type(error).__name__})") from error


@contextmanager
def dicom_faults() -> Iterator[None]:
    """Turn what pydicom raises into a DataError that quotes no value. Only calls of pydicom belong inside."""
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(TOO_MUCH_MEMORY) from error
    except Exception as error:  # pydicom and its handlers raise whatever they please, often with header values
        raise DataError(f"truncated or damaged DICOM ({type(error).__name__})") from error


class Note(StrEnum):
    """A remark on how a file was read. The vocabulary is fixed: nothing of a header is quoted."""

    WINDOW = "window ignored (it does not apply)"
    WINDOW_FUNCTION = "unknown window function (read as linear)"
    VOI_LUT = "VOI LUT ignored (damaged)"
    MODALITY_LUT = "modality LUT ignored (damaged)"
    RESCALE = "rescaling ignored (damaged)"
    DECIMAL_COMMA = "decimal comma (read as a point)"
    PIXEL_ATTRIBUTES = "pixel attributes missing or damaged (the standard's defaults used)"
    PHOTOMETRIC = "photometric interpretation missing or misspelt"
    BITS = "values beyond the bits stored (all bits used)"
    SIGN = "sign of the values corrected (the picture contradicts it)"
    PADDING = "padding value ignored (it covers the picture)"
    NOT_FINITE = "values that are not finite (shown as background)"
    CHUNK = "damaged PNG chunk ignored"
    PROFILE = "large PNG profile or text ignored"
    EXIF = "EXIF ignored (damaged)"
    FIRST_PICTURE = "first of several pictures"
    TAG_NEGATIVE = "polarity tag ignored (the picture contradicts it)"
    NEGATIVE = "looks like a negative (inverted)"
    LATERAL = "lateral view"
    SLICE = "CT slice or localizer"
    MODALITY = "modality is not projection X-ray"
    FEW_LEVELS = "few grey levels"


UNSUITABLE = (Note.LATERAL, Note.SLICE, Note.MODALITY, Note.FEW_LEVELS)
"""Notes of images that are hardly frontal chest X-rays."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a file says of its image, and remarks on how it was read."""

    width_px: int  # as stored
    height_px: int
    view: str | None = None
    sex: str | None = None
    age: float | None = None  # years
    notes: tuple[Note, ...] = ()
    contrast_gain: float = 1.0  # by which stored greys of 8 bits were stretched
    patient_id: str | None = field(default=None, repr=False)  # never to be written but as a keyed hash


@dataclass(frozen=True, kw_only=True)
class Radiograph(Facts):
    """An image that could be read, and its facts."""

    grey: Image.Image  # mode L; air is dark

    @property
    def facts(self) -> Facts:
        """The facts without the image."""
        return Facts(**{one.name: getattr(self, one.name) for one in fields(Facts)})


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


def upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return `image` turned, and whether its EXIF is sound; a damaged one is passed over, the pixels may be sound."""
    try:
        return ImageOps.exif_transpose(image), True
    except (struct.error, SyntaxError, ValueError, TypeError):
        return image, False
