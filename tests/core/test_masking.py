"""Test images with the lungs, the borders or the text hidden."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from coronet_core.audits.masking import (
    FILL,
    VIEWS,
    Regions,
    borders_and_text_masked,
    lungs_masked,
    only_border,
    seen_as,
    without_text,
)
from coronet_core.common.classes import CLASSES
from coronet_core.data.sources import phantom

REGIONS = Regions(lungs_box=(0.25, 0.0, 0.75, 0.5), border_fraction=0.25)


def phantom_image(number: int, label: str = "healthy") -> Tensor:
    """A phantom as the demo has it, (64, 64) in [0, 1]."""
    pixels, _ = phantom.draw(1, label, f"p{number}", 0, 96)  # type: ignore[arg-type]
    return torch.from_numpy(np.array(Image.fromarray(pixels).resize((64, 64), Image.Resampling.BOX))) / 255


@pytest.fixture(scope="module")
def marked_and_bare() -> tuple[Tensor, Tensor]:
    """36 phantoms as they are and without their text markers, (n, 1, 64, 64) each."""
    wanted = [(number, label) for number in range(12) for label in CLASSES]
    marked = torch.stack([phantom_image(*which) for which in wanted])
    with patch.object(phantom._Chest, "_with_marker", lambda _, pixels: pixels):
        bare = torch.stack([phantom_image(*which) for which in wanted])
    return marked[:, None], bare[:, None]


def test_the_lungs_box_is_filled_and_nothing_else() -> None:
    image = torch.rand(2, 1, 8, 8)
    masked = lungs_masked(image, REGIONS.lungs_box)
    expected = image.clone()
    expected[..., 0:4, 2:6] = FILL
    assert torch.equal(masked, expected)


def test_only_the_frame_is_left() -> None:
    image = torch.rand(2, 1, 8, 8)
    expected = image.clone()
    expected[..., 2:6, 2:6] = FILL
    assert torch.equal(only_border(image, 0.25), expected)


def test_the_frame_is_filled() -> None:
    image = torch.full((1, 1, 8, 8), 0.2)
    expected = torch.full_like(image, FILL)
    expected[..., 2:6, 2:6] = 0.2
    assert torch.equal(borders_and_text_masked(image, 0.25), expected)


def test_a_filled_region_tells_nothing_of_the_image() -> None:
    dark, bright = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    for mask in (lambda x: lungs_masked(x, (0, 0, 1, 1)), lambda x: only_border(x, 0.01)):
        assert torch.equal(mask(dark), mask(bright))


def test_text_of_the_phantoms_is_wiped_out(marked_and_bare: tuple[Tensor, Tensor]) -> None:
    marked, bare = marked_and_bare
    is_text = (marked - bare).abs() > 0.1
    assert is_text.any(dim=(1, 2, 3)).float().mean() > 0.5
    still_there = (without_text(marked) - bare > 0.15) & is_text
    assert still_there.sum() < 0.05 * is_text.sum()


def test_lungs_of_the_phantoms_stay_as_they_are(marked_and_bare: tuple[Tensor, Tensor]) -> None:
    bare = marked_and_bare[1]
    lungs = (..., slice(14, 46), slice(10, 54))
    assert (without_text(bare) - bare)[lungs].abs().max() < 0.02


def test_a_bright_spot_is_text_by_the_edge_and_anatomy_in_the_middle() -> None:
    image = torch.full((1, 1, 64, 64), 0.3)
    image[..., 5:7, 5:7] = 1
    image[..., 32:34, 32:34] = 1
    wiped = without_text(image)
    assert wiped[..., 5:7, 5:7].max() == pytest.approx(0.3)
    assert torch.equal(wiped[..., 20:, 20:], image[..., 20:, 20:])


def test_a_mask_does_not_depend_on_the_batch() -> None:
    image = torch.stack([phantom_image(number)[None] for number in range(3)])
    for view in VIEWS:
        alone = torch.cat([seen_as(view, one[None], REGIONS) for one in image])
        assert torch.equal(seen_as(view, image, REGIONS), alone)


def test_views_differ_and_the_first_is_the_image() -> None:
    image = phantom_image(0)[None, None]
    seen = [seen_as(view, image, REGIONS) for view in VIEWS]
    assert torch.equal(seen[0], image)
    assert all(not torch.equal(one, other) for i, one in enumerate(seen) for other in seen[:i])
