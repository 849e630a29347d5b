"""From encoded bytes to one uint8 image of the size that the networks take."""

import hashlib
import io
from dataclasses import dataclass

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from coronet_core.errors import DataError

WHITE_16_BIT = 65535
MAX_PIXELS = 80_000_000
"""Twice what the largest radiography detectors give; below the size at which Pillow warns."""


@dataclass(frozen=True)
class DecodedImage:
    """An image that could be read."""

    pixels: NDArray[np.uint8]  # (image_size_px, image_size_px)
    sha256: str  # of the encoded bytes
    perceptual_hash: str  # 64 bits in hexadecimal; near-identical images differ in few of them
    width_px: int  # as stored
    height_px: int


def decode(content: bytes, image_size_px: int) -> DecodedImage:
    """Decode an encoded image and bring it to `image_size_px` squared, grey, uint8.

    The image is stretched to a square, as COVIDx does. Raises DataError with the reason when it cannot be read.
    """
    grey = _grey(content)
    square = grey.resize((image_size_px, image_size_px), Image.Resampling.BILINEAR)
    return DecodedImage(
        pixels=np.asarray(square, dtype=np.uint8),
        sha256=hashlib.sha256(content).hexdigest(),
        perceptual_hash=str(imagehash.phash(square)),
        width_px=grey.width,
        height_px=grey.height,
    )


def _grey(content: bytes) -> Image.Image:
    if not content:
        raise DataError("empty file")
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError("decompression bomb")
            upright = ImageOps.exif_transpose(image)
            return _eight_bit(upright).convert("L")
    except UnidentifiedImageError as error:
        raise DataError("not an image") from error
    except Image.DecompressionBombError as error:
        raise DataError("decompression bomb") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"damaged image ({error})") from error


def _eight_bit(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image
    scaled = np.asarray(image, dtype=np.float64) * (255 / WHITE_16_BIT)  # plain conversion would clip at 255
    return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8))
