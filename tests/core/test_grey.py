"""The second rule's mapping to grey: the same for whatever unit the values are in."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from coronet_core.data.reading.grey import lookup, n_levels, tabulate

COUNTS = st.lists(st.integers(0, 5000), min_size=1, max_size=300)


@example([10, 1, 1, 172], 1 / 3, 65536.0)  # a value in the middle of a leap
@given(COUNTS, st.floats(0.01, 1000), st.floats(-1e5, 1e5))
def test_units_do_not_matter(counts: list[int], slope: float, intercept: float) -> None:
    levels, weights = np.arange(len(counts), dtype=np.float64), np.array(counts)
    plain, rescaled = (lookup(shown, weights)[0].astype(int) for shown in (levels, levels * slope + intercept))
    assert abs(plain - rescaled).max() <= 1


@given(COUNTS)
def test_brighter_values_are_not_shown_darker(counts: list[int]) -> None:
    grey, _ = lookup(np.arange(len(counts), dtype=np.float64), np.array(counts))
    assert (np.diff(grey.astype(int)) >= 0).all()


def test_the_darkest_and_brightest_thousandth_are_clipped() -> None:
    grey, _ = lookup(np.arange(10_000, dtype=np.float64), np.ones(10_000, dtype=np.int64))
    expected = 10 + 9980 / 255 / 2  # and what rounds to 0 or to 255
    assert (abs(np.bincount(grey)[[0, 255]] - expected) <= 1).all()


def test_two_greys_stay_two() -> None:
    table = tabulate(np.array([[0, 7], [7, 0]], dtype=np.uint16), None)
    image, background = table.image(table.levels)
    assert np.asarray(image).tolist() == [[0, 255], [255, 0]]
    assert background is None
    assert n_levels(table.levels, table.counts) == 2


def test_values_wider_than_a_table_are_rounded_between_their_limits() -> None:
    values = np.linspace(-1e9, 1e9, 40_000).reshape(200, 200).astype(np.float32)
    values[0, 0] = 3e38
    table = tabulate(values, None)
    grey = np.asarray(table.image(table.levels)[0]).astype(int)
    assert abs(grey[1:-1] - np.linspace(0, 255, 40_000).reshape(200, 200)[1:-1]).max() <= 2
