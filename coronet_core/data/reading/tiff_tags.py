"""What Pillow does not do for deep TIFF files: obey the tag of polarity, and read 16 and 64 bits of floating point."""

import struct
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.data.reading.radiograph import MAX_PIXELS
from coronet_core.support.errors import DataError

ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}
ENTRY_BYTES: Final = 12
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS = 256, 257, 258, 259, 262, 273
SAMPLES, STRIP_BYTES, PREDICTOR, SAMPLE_FORMAT = 277, 279, 317, 339
PLAIN, DEFLATED = (1,), (8, 32946)
WHITE_IS_ZERO = 0
BITS_THAT_PILLOW_INVERTS: Final = 8
TYPES: Final = {1: "B", 3: "H", 4: "I"}
WHOLE, SIGNED, FLOATING_POINT = 1, 2, 3
KINDS: Final = {(FLOATING_POINT, 16): "f2", (FLOATING_POINT, 64): "f8", (WHOLE, 32): "u4", (SIGNED, 8): "i1"}
"""By format and bits; others are Pillow's, which takes the upper half of 32 bits for negative numbers."""


def black_is_zero(content: bytes) -> tuple[bytes, bool]:
    """Return a TIFF of more than 8 bits that calls 0 white as one that calls it black, and whether it is one.

    Pillow reads 16-bit and floating-point values as they are, whatever tag 262 says, or not at all.
    """
    tags, places = _first_directory(content)
    if tags.get(PHOTOMETRIC) != [WHITE_IS_ZERO] or tags.get(BITS, [1])[0] <= BITS_THAT_PILLOW_INVERTS:
        return content, False
    place, order = places[PHOTOMETRIC], ORDERS[content[:4]]
    return content[:place] + struct.pack(order + "H", 1) + content[place + 2 :], True


def plain_values(content: bytes) -> NDArray[np.float32] | None:
    """Return the values (H, W) of a TIFF of one of `KINDS`, plain or deflated; None for any other.

    Raises DataError if values are missing.
    """
    tags, _ = _first_directory(content)
    one = {tag: values[0] for tag, values in tags.items() if values}
    kind = KINDS.get((one.get(SAMPLE_FORMAT, WHOLE), one.get(BITS, 1)))
    is_packed = one.get(COMPRESSION, 1) in DEFLATED
    is_known = is_packed or one.get(COMPRESSION, 1) in PLAIN
    needed = {WIDTH, HEIGHT, STRIPS, STRIP_BYTES} <= one.keys()
    if kind is None or not (is_known and needed) or one.get(SAMPLES, 1) != 1 or one.get(PREDICTOR, 1) != 1:
        return None
    shape = (one[HEIGHT], one[WIDTH])
    if shape[0] * shape[1] > MAX_PIXELS:
        raise DataError("decompression bomb")
    dtype = np.dtype(ORDERS[content[:4]] + kind)
    n_bytes = shape[0] * shape[1] * dtype.itemsize
    data = b""
    for start, length in zip(tags[STRIPS], tags[STRIP_BYTES], strict=False):
        if len(data) >= n_bytes:
            break
        strip = content[start : start + length]
        try:
            data += zlib.decompressobj().decompress(strip, n_bytes) if is_packed else strip
        except zlib.error as error:
            raise DataError("truncated or damaged image (a strip cannot be inflated)") from error
    if len(data) < n_bytes:
        raise DataError("truncated or damaged image (values are missing)")
    with np.errstate(over="ignore"):  # beyond float32: not finite
        return np.frombuffer(data[:n_bytes], dtype).reshape(shape).astype(np.float32)


def stated_size(content: bytes) -> tuple[int, int]:
    """Return the width and height that the first image of a TIFF states; zeros if it does not."""
    tags, _ = _first_directory(content)
    return tags.get(WIDTH, [0])[0], tags.get(HEIGHT, [0])[0]


def _first_directory(content: bytes) -> tuple[dict[int, list[int]], dict[int, int]]:
    """Return whole-number tags of the first image, and where the values that fit into their entry are."""
    tags: dict[int, list[int]] = {}
    places: dict[int, int] = {}
    order = ORDERS.get(content[:4])
    if order is None:
        return tags, places
    try:
        (start,) = struct.unpack_from(order + "I", content, 4)
        (n_entries,) = struct.unpack_from(order + "H", content, start)
        for entry in range(start + 2, start + 2 + n_entries * ENTRY_BYTES, ENTRY_BYTES):
            tag, kind, count = struct.unpack_from(order + "HHI", content, entry)
            if (code := TYPES.get(kind)) is None or count * struct.calcsize(code) > len(content):
                continue
            place: Any = entry + 8
            if count * struct.calcsize(code) <= 4:  # noqa: PLR2004  # bytes of an entry's own field
                places[tag] = place
            else:
                (place,) = struct.unpack_from(order + "I", content, place)
            tags[tag] = list(struct.unpack_from(f"{order}{count}{code}", content, place))
    except struct.error:  # truncated: Pillow will say so
        return {}, {}
    return tags, places
