"""From a rectangle to a square, and where a box goes."""

import numpy as np
import pytest
from PIL import Image

from coronet_core.common.literals import Aspect
from coronet_core.data.reading.image import box_in_square, to_square

WIDE = np.zeros((100, 200), dtype=np.uint8)
WIDE[25:75, 50:100] = 255
BOX = (0.25, 0.25, 0.5, 0.75)  # of the bright part


@pytest.mark.parametrize("aspect", list(Aspect))
@pytest.mark.parametrize("turn", [False, True])
def test_the_box_of_a_bright_part_stays_around_it(aspect: Aspect, turn: bool) -> None:  # noqa: FBT001  # parametrized
    image = WIDE.T if turn else WIDE
    box = (BOX[1], BOX[0], BOX[3], BOX[2]) if turn else BOX
    square = np.asarray(to_square(Image.fromarray(image), 80, aspect))
    rows, columns = np.nonzero(square > 127)
    edges = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 80
    placed = box_in_square(box, image.shape[1], image.shape[0], aspect)
    assert square.shape == (80, 80)
    np.testing.assert_allclose(placed, edges, atol=0.02)


def test_only_stretching_bends_a_circle() -> None:
    rows, columns = np.mgrid[:100, :200]
    circle = Image.fromarray((np.hypot(rows - 50, columns - 100) < 30).astype(np.uint8) * 255)
    ratio = {}
    for aspect in Aspect:
        rows_in, columns_in = np.nonzero(np.asarray(to_square(circle, 100, aspect)) > 127)
        ratio[aspect] = np.ptp(columns_in) / np.ptp(rows_in)
    assert ratio[Aspect.STRETCH] < 0.6
    assert ratio[Aspect.CROP] == pytest.approx(1, abs=0.05)
    assert ratio[Aspect.PAD] == pytest.approx(1, abs=0.05)
