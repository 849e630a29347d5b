"""From encoded bytes to one uint8 image of the size that the networks take."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from coronet_core.common.literals import Aspect, Reading
from coronet_core.data.image_record import Box
from coronet_core.data.reading.dicom import is_dicom, read_dicom
from coronet_core.data.reading.radiograph import Facts, Radiograph
from coronet_core.data.reading.raster import read_raster
from coronet_core.data.reading.suitability import mask_reason
from coronet_core.support.errors import DataError

PROBE = (64, 64)
MIN_CONTRAST = 1.0
"""Standard deviation in grey levels below which an image shows nothing; JPEG noise on one grey stays below it."""


def to_square(image: Image.Image, side_px: int, aspect: Aspect) -> Image.Image:
    """Return `image` as a square of `side_px`."""
    size = (side_px, side_px)
    match aspect:
        case Aspect.STRETCH:
            return image.resize(size, Image.Resampling.BILINEAR)
        case Aspect.CROP:
            return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
        case Aspect.PAD:
            return ImageOps.pad(image, size, Image.Resampling.BILINEAR)


def box_in_square(box: Box, width_px: int, height_px: int, aspect: Aspect) -> Box:
    """Return where `box` of an image of `width_px` x `height_px` lies in its square, as fractions of the square."""
    if aspect is Aspect.STRETCH:
        return box
    shown_px = min(width_px, height_px) if aspect is Aspect.CROP else max(width_px, height_px)

    def place(fraction: float, length_px: int) -> float:
        return min(max((fraction * length_px - (length_px - shown_px) / 2) / shown_px, 0.0), 1.0)

    left, top, right, bottom = box
    return place(left, width_px), place(top, height_px), place(right, width_px), place(bottom, height_px)


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """An image that could be read."""

    pixels: NDArray[np.uint8]  # (image_size_px, image_size_px)
    facts: Facts
    upright_px: tuple[int, int]  # width and height in which it was decoded
    sha256: str  # of the encoded bytes
    pixel_sha256: str  # of `pixels`
    size_bytes: int
    grey_levels: int  # of the whole image, at most 256


Decode = Callable[[bytes, int, Aspect, Reading], DecodedImage]
"""`decode` below, or `Decoders.decode`, which does the same in another process."""


def decode(content: bytes, image_size_px: int, aspect: Aspect, reading: Reading = 1) -> DecodedImage:
    """Decode an encoded image and bring it to `image_size_px` squared, grey, uint8, by the rule `reading`.

    Raises DataError with the reason when it cannot be read, shows nothing or, by the second rule, is a mask.
    """
    radiograph = _read(content, image_size_px, reading)
    pixels = np.asarray(to_square(radiograph.grey, image_size_px, aspect), dtype=np.uint8)
    return DecodedImage(
        pixels=pixels,
        facts=radiograph.facts,
        upright_px=radiograph.grey.size,
        sha256=hashlib.sha256(content).hexdigest(),
        pixel_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
        size_bytes=len(content),
        grey_levels=256 - radiograph.grey.histogram().count(0),
    )


def preview(content: bytes, longest_px: int, reading: Reading) -> bytes:
    """Return an encoded image as it is read, upright and grey, at most `longest_px` wide and high, as PNG.

    Raises DataError as `decode` does.
    """
    grey = _read(content, longest_px, reading).grey
    grey.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    grey.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _read(content: bytes, needed_px: int, reading: Reading) -> Radiograph:
    """Read an image that shows something. Raises DataError."""
    if not content:
        raise DataError("empty file")
    radiograph = read_dicom(content, reading) if is_dicom(content) else read_raster(content, needed_px, reading)
    contrast = np.asarray(radiograph.grey.resize(PROBE, Image.Resampling.BOX)).std() / radiograph.contrast_gain
    if contrast < MIN_CONTRAST:
        raise DataError("zero variance (a single grey level)")
    if reading > 1 and (reason := mask_reason(radiograph.grey)) is not None:
        raise DataError(reason)
    return radiograph
