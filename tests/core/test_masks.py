"""Masks are told from X-rays by their grey levels."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import Aspect
from coronet_core.data.reading.image import decode
from coronet_core.data.reading.suitability import mask_reason
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError


def lungs(side_px: int, *, left: int = 255, right: int = 255) -> Image.Image:
    """A mask of two ellipses, on black."""
    y, x = np.mgrid[:side_px, :side_px] / side_px - 0.5
    mask = np.zeros((side_px, side_px), dtype=np.uint8)
    for centre, level in ((-0.22, left), (0.22, right)):
        mask[((x - centre) / 0.16) ** 2 + (y / 0.36) ** 2 < 1] = level
    return Image.fromarray(mask)


def phantom_pixels(label: str, number: int) -> NDArray[np.uint8]:
    return phantom.draw(7, label, f"p{number}", 0, 128)[0]  # type: ignore[arg-type]  # one of CLASSES


def through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


@pytest.mark.parametrize(("left", "right", "levels"), [(255, 255, 2), (1, 1, 2), (1, 2, 3), (100, 200, 3)])
def test_few_grey_levels_are_a_mask(left: int, right: int, levels: int) -> None:
    assert mask_reason(lungs(96, left=left, right=right)) == f"mask ({levels} grey levels)"


@pytest.mark.parametrize("side_px", [96, 256, 512])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_mask_that_was_resized_and_saved_as_jpeg_is_one(side_px: int, quality: int) -> None:
    mask = through_jpeg(lungs(300).resize((side_px, side_px), Image.Resampling.BICUBIC), quality)
    assert mask_reason(mask) == "mask (two flat greys)"
    assert mask_reason(ImageOps.invert(mask)) == "mask (two flat greys)"


@pytest.mark.parametrize("label", CLASSES)
def test_phantoms_are_no_masks_even_with_wide_borders_and_stretched(label: str) -> None:
    for number in range(8):
        image = Image.fromarray(phantom_pixels(label, number))
        for seen in (image, ImageOps.pad(image, (512, 128)), ImageOps.autocontrast(image, cutoff=5)):
            assert mask_reason(seen) is None


def test_one_grey_all_over_is_no_mask() -> None:
    assert mask_reason(Image.new("L", (64, 64), 90)) is None


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_a_mask_is_refused_when_it_is_decoded(mode: str) -> None:
    buffer = io.BytesIO()
    lungs(96).convert(mode).save(buffer, "PNG")
    with pytest.raises(DataError, match=r"^mask \(2 grey levels\)$"):
        decode(buffer.getvalue(), 64, Aspect.STRETCH, reading=2)
