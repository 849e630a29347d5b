"""Decoding what sources hold, and naming what cannot be decoded."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image

from coronet_core.common.literals import Aspect
from coronet_core.data.reading.image import DecodedImage, decode
from coronet_core.support.errors import DataError

GRADIENT = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (128, 1))  # (128, 128), dark left, bright right


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(image: Image.Image, kind: str = "PNG", **options: object) -> DecodedImage:
    return decode(encoded(image, kind, **options), 64, Aspect.STRETCH)


def difference_from_grey(image: DecodedImage) -> int:
    return int(abs(image.pixels.astype(int) - decoded(Image.fromarray(GRADIENT)).pixels).max())


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "CMYK"])
def test_colour_modes_become_the_same_grey(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    image = decoded(Image.fromarray(GRADIENT).convert("RGB").convert(mode), kind)
    assert image.pixels.shape == (64, 64)
    assert image.pixels.dtype == np.uint8
    assert difference_from_grey(image) <= 8  # palettes and inks round


@pytest.mark.parametrize("factor", [257, 16])  # the whole range of 16 bits, and 12 bits in 16
def test_sixteen_bits_keep_their_contrast_whatever_part_of_the_range_they_fill(factor: int) -> None:
    whole = Image.fromarray((GRADIENT * (255 / 254)).round().astype(np.uint8))
    image = decoded(Image.fromarray(GRADIENT.astype(np.uint16) * factor))
    assert abs(image.pixels.astype(int) - decoded(whole).pixels).max() <= 1


def test_floating_point_is_scaled_by_its_range() -> None:
    assert difference_from_grey(decoded(Image.fromarray(GRADIENT.astype(np.float32) / 1000 - 3), "TIFF")) <= 2


def test_transparent_parts_are_black() -> None:
    image = Image.fromarray(GRADIENT).convert("RGBA")
    image.putalpha(Image.fromarray(np.where(np.arange(128) < 64, 255, 0).astype(np.uint8)[None].repeat(128, 0)))
    assert decoded(image).pixels[:, 34:].max() == 0


@pytest.mark.parametrize(("orientation", "turned_by"), [(3, 180), (6, 90), (8, 270)])
def test_exif_rotation_is_undone(orientation: int, turned_by: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decoded(Image.fromarray(GRADIENT).rotate(turned_by), "JPEG", exif=exif, quality=95)
    assert image.pixels[:, :8].mean() < image.pixels[:, -8:].mean() - 100


def test_size_and_digests_are_recorded() -> None:
    content = encoded(Image.fromarray(GRADIENT[:100]))
    image = decode(content, 64, Aspect.STRETCH)
    assert (image.facts.width_px, image.facts.height_px) == (128, 100)
    assert (len(image.sha256), len(image.pixel_sha256)) == (64, 64)
    assert image.size_bytes == len(content)


def test_the_same_pixels_in_another_file_have_the_same_pixel_digest() -> None:
    png, bmp = decoded(Image.fromarray(GRADIENT)), decoded(Image.fromarray(GRADIENT), "BMP")
    assert png.sha256 != bmp.sha256
    assert png.pixel_sha256 == bmp.pixel_sha256


def test_a_large_jpeg_looks_the_same_as_when_it_is_decoded_in_full() -> None:
    smooth = Image.fromarray(GRADIENT).resize((2048, 1536), Image.Resampling.BICUBIC)
    image = decoded(smooth, "JPEG", quality=95)
    assert (image.facts.width_px, image.facts.height_px) == (2048, 1536)
    assert abs(image.pixels.astype(int) - decoded(smooth).pixels).max() <= 3


FLAT = encoded(Image.new("L", (100, 100), 90))
ANIMATED = encoded(Image.fromarray(GRADIENT), "GIF", save_all=True, append_images=[Image.fromarray(255 - GRADIENT)])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"patient,label\n", "not an image"),
        (encoded(Image.fromarray(GRADIENT), "JPEG")[:900], "truncated or damaged image"),
        (encoded(Image.fromarray(GRADIENT))[:100], "truncated or damaged image"),
        (encoded(Image.new("1", (20_000, 10_000))), "decompression bomb"),
        (FLAT, "zero variance"),
        (ANIMATED, r"multi-frame \(2 frames\)"),
        (encoded(Image.fromarray(load_sample_image("flower.jpg"))), "colour photograph"),
        (encoded(Image.fromarray(load_sample_image("china.jpg")), "JPEG"), "colour photograph"),
    ],
)
def test_what_cannot_be_used_is_named(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        decode(content, 64, Aspect.STRETCH)


@pytest.mark.parametrize("aspect", list(Aspect))
def test_one_grey_is_refused_whatever_becomes_of_its_shape(aspect: Aspect) -> None:
    with pytest.raises(DataError, match="zero variance"):
        decode(encoded(Image.new("L", (200, 100), 90)), 64, aspect)


def test_a_damaged_exif_block_does_not_matter() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    content = encoded(Image.fromarray(GRADIENT), "JPEG", exif=exif, quality=95)
    place = content.index(b"Exif") + 16
    damaged = content[:place] + b"\x12\x01\x07\x07\xff\xff" + content[place + 6 :]
    assert difference_from_grey(decode(damaged, 64, Aspect.STRETCH)) <= 8


@given(st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"]), st.integers(0, 2**32), st.integers(1, 12))
def test_whatever_is_in_a_file_it_is_read_or_refused(kind: str, seed: int, n_bytes: int) -> None:
    content = bytearray(encoded(Image.fromarray(GRADIENT), kind))
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, min(len(content), 400), n_bytes):
        content[place] = rng.integers(256)
    with warnings.catch_warnings(), contextlib.suppress(DataError):
        warnings.simplefilter("ignore")  # Pillow warns of much that it reads nevertheless
        decode(bytes(content), 64, Aspect.STRETCH)


def test_tinted_films_and_red_arrows_are_no_photographs() -> None:
    tinted = np.stack([GRADIENT // 2, GRADIENT, GRADIENT // 2 + 90], axis=-1)
    tinted[20:30, 40:60] = (255, 0, 0)
    assert decoded(Image.fromarray(tinted)).pixels.std() > 10


def test_the_real_images_of_the_covid_chestxray_collection_all_decode(shared: Path) -> None:
    files = sorted((shared / "data/covidx/covid-chestxray/images").iterdir())
    for file in files:
        assert decode(file.read_bytes(), 224, Aspect.STRETCH).pixels.std() > 20, file.name
    assert len(files) == 120
