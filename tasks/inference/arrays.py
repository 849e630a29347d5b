"""Images that come as arrays, as files that hold them: from there on they are read as any other file is."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coronet_core.data.radiograph import MAX_PIXELS, eight_bit
from coronet_core.errors import DataError

COLOURS = 3
WITH_ALPHA = 4


def encoded(array: NDArray[np.generic]) -> bytes:
    """Return an uncompressed TIFF file with the image `array`: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    Grey values of any integer or floating-point type keep their precision up to float32: what reads the file scales
    them as it does those of files. Colours of more than 8 bits are scaled by the range of the image, opacities by that
    of their type (floats: 0 to 1).

    Raises DataError for other shapes and types, for values that are not finite, and for too many pixels.
    """
    if array.ndim == COLOURS and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == COLOURS and array.shape[2] in (COLOURS, WITH_ALPHA))) or not array.size:  # noqa: PLR2004
        raise DataError(f"an array of shape {array.shape}. Give (H, W), (H, W, 3) or (H, W, 4).")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise DataError(f"an array of {array.shape[0] * array.shape[1]} pixels. Give at most {MAX_PIXELS}.")
    if array.dtype.kind not in "biuf":
        raise DataError(f"an array of {array.dtype}. Give integers or floating-point numbers.")
    if not np.isfinite(array).all():
        raise DataError("an array with values that are not finite")
    buffer = io.BytesIO()
    (_grey(array) if array.ndim == 2 else _coloured(array)).save(buffer, "TIFF")  # noqa: PLR2004
    return buffer.getvalue()


def _grey(array: NDArray[np.generic]) -> Image.Image:
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    kept = array if array.dtype in (np.uint8, np.uint16) else array.astype(np.float32)
    return Image.fromarray(np.ascontiguousarray(kept))


def _coloured(array: NDArray[np.generic]) -> Image.Image:
    if array.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(array))
    colours = np.asarray(eight_bit(array[:, :, :COLOURS]))
    if array.shape[2] == COLOURS:
        return Image.fromarray(colours)
    opaque = 1.0 if array.dtype.kind == "f" else float(np.iinfo(str(array.dtype)).max)
    alpha = (array[:, :, COLOURS].astype(np.float64) / opaque).clip(0, 1) * 255
    return Image.fromarray(np.dstack([colours, alpha.round().astype(np.uint8)]))
