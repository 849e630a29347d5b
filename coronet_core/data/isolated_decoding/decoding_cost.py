"""What a file will cost to decode, in pixels, from its first bytes: cheap enough to ask of any upload."""

import struct
from typing import Final

from coronet_core.data.reading.radiograph import MAX_PIXELS
from coronet_core.data.reading.stream_size import stated_pixels
from coronet_core.data.reading.tiff_tags import stated_size

PNG_SIZE: Final = slice(16, 24)
GIF_SIZE: Final = slice(6, 10)
ROWS: Final = b"\x28\x00\x10\x00US\x02\x00"
COLUMNS: Final = b"\x28\x00\x11\x00US\x02\x00"
"""Of a DICOM file with explicit VR, as all are whose pixels are compressed."""
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
    rows, columns = content.find(ROWS), content.find(COLUMNS)
    if min(rows, columns) < 0:
        return 0
    return _product("<H", content[rows + len(ROWS) :][:2]) * _product("<H", content[columns + len(COLUMNS) :][:2])


def _product(form: str, data: bytes) -> int:
    product = 1
    try:
        for number in struct.unpack(form, data):
            product *= number
    except struct.error:  # cut off: it will be refused
        return 0
    return product
