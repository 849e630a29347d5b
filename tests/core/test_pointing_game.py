"""The pointing game, by hand."""

import pytest
import torch

from coronet_core.attribution.salience_in_regions import box_mask, points_into


def test_a_box_holds_the_pixels_whose_middle_is_in_it() -> None:
    inside = box_mask([(0.25, 0.5, 0.5, 0.75)], 8, 8)
    assert inside.nonzero().tolist() == [[4, 2], [4, 3], [5, 2], [5, 3]]


def test_boxes_join_and_tolerance_widens_them() -> None:
    boxes = [(0.0, 0.0, 0.125, 0.125), (0.5, 0.5, 0.625, 0.625)]
    assert box_mask(boxes, 8, 8).nonzero().tolist() == [[0, 0], [4, 4]]
    assert box_mask(boxes, 8, 8, tolerance_px=1).sum().item() == 4 + 9
    assert not box_mask([], 8, 8, tolerance_px=3).any()


@pytest.mark.parametrize(("row", "column", "hits"), [(4, 2, True), (3, 2, False), (4, 4, False)])
def test_the_most_salient_pixel_decides(row: int, column: int, hits: bool) -> None:  # noqa: FBT001 - a column of the table
    salience = torch.rand(1, 1, 8, 8)
    salience[0, 0, row, column] = 2.0
    region = box_mask([(0.25, 0.5, 0.5, 0.75)], 8, 8)[None, None]
    assert points_into(salience, region).tolist() == [hits]
