"""What a file will cost to decode, in pixels, from its first bytes: cheap enough to ask of any upload."""

import re
import struct
from typing import Final

from coronet_core.data.reading.radiograph import MAX_PIXELS
from coronet_core.data.reading.stream_size import stated_pixels
from coronet_core.data.reading.tiff_tags import stated_size

PNG_SIZE: Final = slice(16, 24)
GIF_SIZE: Final = slice(6, 10)
ROWS: Final = re.compile(rb"\x28\x00\x10\x00(?:US\x02\x00|\x02\x00\x00\x00)(..)", re.DOTALL)
COLUMNS: Final = re.compile(rb"\x28\x00\x11\x00(?:US\x02\x00|\x02\x00\x00\x00)(..)", re.DOTALL)
"""Of a little-endian DICOM file, with explicit or implicit VR."""
BITS_PER_BYTE: Final = 8


def pixels_to_decode(content: bytes) -> int:
    """Return how many pixels `content` has, or more: at most MAX_PIXELS, beyond which a file is refused anyway."""
    if content.startswith(b"\x89PNG"):
        pixels = _product(">II", content[PNG_SIZE])
    elif content.startswith(b"GIF"):
        pixels = _product("<HH", content[GIF_SIZE])
    elif content.startswith((b"II", b"MM")):
        width, height = stated_size(content)
        pixels = width * height
    elif content.startswith(b"RIFF"):  # WebP packs pixels without a bound
        pixels = MAX_PIXELS
    else:
        pixels = max(stated_pixels(content), _of_dicom(content)) or BITS_PER_BYTE * len(content)
    return min(pixels, MAX_PIXELS)


def _of_dicom(content: bytes) -> int:
    rows, columns = ROWS.search(content), COLUMNS.search(content)
    return _product("<H", rows[1]) * _product("<H", columns[1]) if rows and columns else 0


def _product(form: str, data: bytes) -> int:
    product = 1
    try:
        for number in struct.unpack(form, data):
            product *= number
    except struct.error:  # cut off: it will be refused
        return 0
    return product
