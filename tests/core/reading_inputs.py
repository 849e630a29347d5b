"""One X-ray in many files: what the tests of the reading rules read."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import zoom

from coronet_core.data.sources import phantom
from tests.core.test_dicom import dicom, saved

Values = NDArray[Any]
SMALL = phantom.draw(1, "healthy", "p", 0, 96)[0]  # (96, 96), air dark
XRAY = zoom(SMALL.astype(np.float64), 4, order=1).clip(0, 255)  # (384, 384), 0 to 255 with fractions
EIGHT = XRAY.round().astype(np.uint8)
TWELVE = (XRAY * (4095 / 255)).round().astype(np.uint16)
SIXTEEN = (XRAY * 257).round().astype(np.uint16)


def encoded(values: Values | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Encode grey or colour with Pillow."""
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(channels: list[Values], colour_type: int) -> bytes:
    """Return a PNG of several channels of 16 bits, which Pillow cannot write; its rows go by three filters."""
    stack = np.stack(channels, axis=-1).astype(">u2")
    rows = stack.view(np.uint8).reshape(stack.shape[0], -1).astype(np.int16)
    step = 2 * len(channels)
    packed = b"".join(_filtered(rows, number, step) for number in range(len(rows)))
    header = struct.pack(">IIBBBBB", stack.shape[1], stack.shape[0], 16, colour_type, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(packed)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _filtered(rows: Values, number: int, step: int) -> bytes:
    row, above = rows[number], rows[number - 1] if number else np.zeros_like(rows[0])
    left = np.concatenate([np.zeros(step, np.int16), row[:-step]])
    kind = number % 3
    expected = (0 * row, left, above)[kind]
    return bytes([kind]) + (row - expected).astype(np.uint8).tobytes()


def tiff(values: Values, *, white_is_zero: bool = False, is_deflated: bool = False, order: str = "<") -> bytes:
    """Return a TIFF of one strip, of any depth; `values` (H, W) or (H, W, C) are stored as they are."""
    colours = values.shape[2] if values.ndim > 2 else 1
    stored = values.astype(values.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(stored) if is_deflated else stored
    bits, form = values.dtype.itemsize * 8, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    photometric = 2 if colours > 1 else int(not white_is_zero)
    tags = {
        256: ("I", [values.shape[1]]),
        257: ("I", [values.shape[0]]),
        258: ("H", [bits] * colours),
        259: ("H", [8 if is_deflated else 1]),
        262: ("H", [photometric]),
        273: ("I", [8]),
        277: ("H", [colours]),
        278: ("I", [values.shape[0]]),
        279: ("I", [len(data)]),
        339: ("H", [form] * colours),
    }
    body, entries = data + bytes(len(data) % 2), b""
    for tag, (code, numbers) in tags.items():
        value = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        if len(value) > 4:
            body, value = body + value, struct.pack(order + "I", 8 + len(body))
        kind = {"H": 3, "I": 4}[code]
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + value.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(order + "H", len(tags)) + entries + bytes(4)
    return mark + struct.pack(order + "I", 8 + len(body)) + body + directory


def dcm(values: Values = TWELVE, bits: int = 12, **tags: Any) -> bytes:
    """Return a DICOM file."""
    return saved(dicom(values, bits, **tags))
