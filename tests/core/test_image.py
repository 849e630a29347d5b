"""Decoding what sources hold, and naming what cannot be decoded."""

import io

import numpy as np
import pytest
from PIL import Image

from coronet_core.data.image import decode
from coronet_core.errors import DataError

GRADIENT = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (128, 1))  # (128, 128), dark left, bright right


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "CMYK"])
def test_colour_modes_become_the_same_grey(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    decoded = decode(encoded(Image.fromarray(GRADIENT).convert("RGB").convert(mode), kind), 64)
    difference = decoded.pixels.astype(int) - decode(encoded(Image.fromarray(GRADIENT)), 64).pixels
    assert decoded.pixels.shape == (64, 64)
    assert decoded.pixels.dtype == np.uint8
    assert abs(difference).max() <= 8  # palettes and inks round


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    deep = Image.fromarray(GRADIENT.astype(np.uint16) * 257)
    difference = decode(encoded(deep), 64).pixels.astype(int) - decode(encoded(Image.fromarray(GRADIENT)), 64).pixels
    assert abs(difference).max() <= 1


def test_exif_rotation_is_undone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = encoded(Image.fromarray(GRADIENT).rotate(180), "JPEG", exif=exif, quality=95)
    pixels = decode(turned, 64).pixels
    assert pixels[:, :8].mean() < pixels[:, -8:].mean()


def test_size_and_digests_are_recorded() -> None:
    decoded = decode(encoded(Image.fromarray(GRADIENT[:100])), 64)
    assert (decoded.width_px, decoded.height_px) == (128, 100)
    assert len(decoded.sha256) == 64
    assert len(decoded.perceptual_hash) == 16


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"patient,label\n", "not an image"),
        (encoded(Image.fromarray(GRADIENT), "JPEG")[:900], "damaged image"),
        (encoded(Image.new("1", (20_000, 10_000))), "decompression bomb"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        decode(content, 64)
