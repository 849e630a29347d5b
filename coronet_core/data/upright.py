"""Turning an image as its EXIF says."""

import struct

from PIL import Image, ImageOps


def upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return `image` turned, and whether its EXIF is sound; a damaged one is passed over, the pixels may be sound."""
    try:
        return ImageOps.exif_transpose(image), True
    except (struct.error, SyntaxError, ValueError, TypeError):
        return image, False
