"""Images given as arrays, bytes or base64 text, converted to encoded files and then read like any other file."""

import base64
import binascii
import io
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coronet_core.data.image_record import file_version
from coronet_core.data.reading.radiograph import MAX_PIXELS, eight_bit
from coronet_core.support.errors import DataError
from tasks.inference.input.image_file import MAX_FILE_BYTES, FileContent, ImageFile
from tasks.inference.input.local import read_local

COLOURS = 3
WITH_ALPHA = 4
ADDRESS: Final = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)
"""Beginning of a URL. Base64 text has no colon."""
BASE64_BYTES: Final = 4 / 3
"""Base64 characters per byte."""


def encoded(array: NDArray[np.generic]) -> bytes:
    """Return an uncompressed TIFF file with the image `array`: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    Grey values of any integer or floating-point type keep their precision up to float32 and are scaled when the file is
    read. Colours of more than 8 bits are scaled by the range of the image, alpha by the range of its type (floats: 0 to
    1).

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
        raise DataError("an array with non-finite values")
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


def content_of(value: Any, name: str, *, reads_paths: bool) -> FileContent:
    """Return the encoded image that `value` contains or names, as a file `name`; or an error.

    Strings are base64 or, with `reads_paths`, names of existing files.
    """
    try:
        if isinstance(value, Path) or (reads_paths and isinstance(value, str) and _is_file(value)):
            return _file(Path(value), name)
        return FileContent(name, _bytes_of(value, reads_paths=reads_paths))
    except DataError as error:
        return FileContent(name, b"", str(error))


def _bytes_of(value: Any, *, reads_paths: bool) -> bytes:
    match value:
        case bytes() | bytearray() | memoryview():
            content = bytes(value)
        case str():
            content = _decoded(value, reads_paths=reads_paths)
        case np.ndarray():
            return encoded(value)
        case list() | tuple():
            return encoded(_array(value))
        case _:
            raise DataError(f"a {type(value).__name__}. Give encoded bytes, base64 text, an array or a pathlib.Path.")
    if len(content) > MAX_FILE_BYTES:
        raise DataError(f"too large ({len(content) / 2**20:.0f} MiB)")
    return content


def _decoded(text: str, *, reads_paths: bool) -> bytes:
    if ADDRESS.match(text):
        raise DataError("a URL. URLs are not fetched: send the image itself, as base64 text.")
    if len(text) > MAX_FILE_BYTES * BASE64_BYTES:
        raise DataError(f"too large ({len(text) / BASE64_BYTES / 2**20:.0f} MiB)")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        remedy = (
            "neither an existing file nor base64 text"
            if reads_paths
            else "not base64 text. Paths are not read from strings"
        )
        raise DataError(remedy) from error


def _array(value: list[Any] | tuple[Any, ...]) -> "np.ndarray[Any, Any]":
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError("nested lists of unequal lengths. Give each row as many numbers.") from error


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a null byte: may be base64
        return False


def _file(path: Path, name: str) -> FileContent:
    found = read_local(ImageFile(str(path), file_version(path), path.stat().st_size if path.is_file() else 0))
    return FileContent(name, found.content, found.error)
