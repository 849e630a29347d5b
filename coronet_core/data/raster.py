"""Reading PNG, JPEG, TIFF and other files that Pillow knows as radiographs."""

import io
import struct

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from coronet_core.data.radiograph import MAX_PIXELS, Radiograph, eight_bit
from coronet_core.errors import DataError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")
PROBE_PX = 128
LUMINANCE_STEP = 16
MAX_CHROMA = 24
"""Distance from the tint, in grey levels, up to which a pixel passes for grey: what JPEG and scanners do."""
MAX_COLOURED_SHARE = 0.15
"""Red arrows cover 2% of an X-ray of the covid-chestxray collection; photographs are coloured all over."""


def read_raster(content: bytes, needed_px: int) -> Radiograph:
    """Read an image that is to be `needed_px` wide and high in the end.

    Grey, RGB, RGBA, palette, CMYK, 16 bit and floating point; turned as its EXIF says; transparent parts black. A
    large JPEG is decoded at half, a quarter or an eighth of its size, as long as that is twice what is needed.
    Raises DataError with the reason if it cannot be read, holds several frames, or is a colour photograph.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width_px, height_px = image.size
            _refuse_by_header(image)
            image.draft(None, (2 * needed_px, 2 * needed_px))
            return Radiograph(grey=_grey(_upright(image)), width_px=width_px, height_px=height_px)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("not an image") from error
    except Image.DecompressionBombError as error:
        raise DataError("decompression bomb") from error
    except Exception as error:  # Pillow's decoders raise whatever they please
        raise DataError(f"truncated or damaged image ({error or type(error).__name__})") from error


def _refuse_by_header(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError("decompression bomb")
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise DataError(f"multi-frame ({frames} frames)")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (struct.error, SyntaxError, ValueError, TypeError):  # a damaged EXIF block; the pixels may be sound
        return image


def _grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return eight_bit(np.asarray(image))
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "black")
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    if image.mode not in ("1", "L"):
        refuse_colour(image)
    return image.convert("L")


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
