"""Occlusion, by hand on a linear network."""

import pytest
import torch

from coronet_core.attribution.occlusion import Occlusion, n_windows, occlusion_maps
from tests.core.linear_models import Linear, patch

SETTINGS = Occlusion(window_px=4, stride_px=4, null_blur_radius_px=50.0)
CLASS_0 = torch.zeros(1, dtype=torch.int64)


def chessboard(side_px: int) -> torch.Tensor:
    return ((torch.arange(side_px)[:, None] + torch.arange(side_px)) % 2).float()[None, None]


def test_the_fall_of_the_probability_by_hand() -> None:
    """The blurred board is grey, 0.5: in the window that the network reads, 8 white pixels lose their sum of 8."""
    weights = 0.1 * patch(16, 4, 8, 4) * chessboard(16)[0, 0]
    network = Linear(weights)
    image = chessboard(16)
    found = occlusion_maps(network, image, CLASS_0, SETTINGS)[0, 0]
    before, after = (torch.tensor([e, -e, 0.0]).softmax(0)[0] for e in (0.8, 0.4))
    torch.testing.assert_close(found, (before - after) * patch(16, 4, 8, 4), atol=2e-3, rtol=0)


def test_a_pixel_has_the_mean_over_the_windows_that_hold_it() -> None:
    network = Linear(0.1 * patch(16, 0, 0, 4) * chessboard(16)[0, 0])
    overlapping = Occlusion(window_px=4, stride_px=2, null_blur_radius_px=50.0)
    found = occlusion_maps(network, chessboard(16), CLASS_0, overlapping)[0, 0]
    corner, inner = found[0, 0], found[3, 3]
    assert corner > inner > 0  # one window blurs all that counts; of those that hold (3, 3), some only a part
    assert found[8:, 8:].max() == 0


def test_evidence_against_the_class_is_no_salience() -> None:
    network = Linear(-0.1 * chessboard(16)[0, 0])
    assert occlusion_maps(network, chessboard(16), CLASS_0, SETTINGS).max() == 0


def test_a_batch_gives_each_image_the_map_that_it_gets_alone() -> None:
    network, images, target = Linear(torch.randn(16, 16)), torch.rand(3, 1, 16, 16), torch.tensor([0, 1, 2])
    together = occlusion_maps(network, images, target, SETTINGS)
    for i in range(3):
        alone = occlusion_maps(network, images[i : i + 1], target[i : i + 1], SETTINGS)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("window_px", "stride_px", "expected"), [(4, 4, 16), (4, 2, 49), (5, 4, 16), (99, 1, 1)])
def test_windows_reach_every_pixel_and_are_counted(window_px: int, stride_px: int, expected: int) -> None:
    settings = Occlusion(window_px=window_px, stride_px=stride_px, null_blur_radius_px=1.0)
    calls: list[None] = []
    found = occlusion_maps(
        Linear(torch.ones(16, 16)), torch.rand(1, 1, 16, 16), CLASS_0, settings, lambda: calls.append(None)
    )
    assert len(calls) == n_windows(16, 16, settings) == expected
    assert torch.isfinite(found).all()
