"""The blur, and the matrices that upsample and blur a mask at once."""

import pytest
import torch
from torch.nn import functional

from coronet_core.attribution.blur import blur, upsampling_matrix


@pytest.mark.parametrize(("size", "radius_px"), [((64, 64), 2.0), ((56, 40), 5.0), ((32, 48), 12.0), ((30, 30), 0.0)])
def test_two_matrices_upsample_and_blur_as_the_plain_way_does(size: tuple[int, int], radius_px: float) -> None:
    mask = torch.rand(2, 1, 7, 7)
    plain = blur(functional.interpolate(mask, size=size, mode="nearest"), radius_px)
    rows, columns = (upsampling_matrix(7, length, min(size), radius_px) for length in size)
    torch.testing.assert_close(rows @ mask @ columns.T, plain, atol=1e-5, rtol=0)


def test_rows_of_the_matrix_sum_to_one() -> None:
    torch.testing.assert_close(upsampling_matrix(8, 64, 64, 3.0).sum(1), torch.ones(64))


def test_a_blur_of_one_bright_pixel_is_a_gaussian() -> None:
    image = torch.zeros(1, 1, 33, 33)
    image[..., 16, 16] = 1
    blurred = blur(image, 2.0)[0, 0]
    assert blurred.sum().item() == pytest.approx(1, abs=1e-5)
    assert (blurred[16, 18] / blurred[16, 16]).item() == pytest.approx(torch.tensor(-0.5).exp().item(), abs=1e-5)
    assert torch.equal(blur(image, 0), image)
