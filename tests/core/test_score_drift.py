"""Drift of scores, by hand and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coronet_core.score_drift import holm, shift_of_scores, shift_of_shares, stability_index


def test_the_stability_index_is_that_of_its_formula() -> None:
    reference, window = np.array([49.5, 49.5]), np.array([24.5, 74.5])  # with half an image a bin: 0.5, 0.5; 0.25, 0.75
    expected = -0.25 * np.log(0.25 / 0.5) + 0.25 * np.log(0.75 / 0.5)
    assert stability_index(reference, window) == pytest.approx(expected)  # type: ignore[arg-type]


def test_an_empty_bin_leaves_the_index_finite() -> None:
    assert 1 < stability_index(np.array([100, 0]), np.array([0, 100])) < 20


def test_holm_multiplies_the_smallest_by_all_and_the_largest_by_one() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_never_lowers_a_p_value(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(before <= after <= 1 for before, after in zip(p_values, corrected, strict=True))
    assert [corrected[i] for i in np.argsort(p_values, kind="stable")] == sorted(corrected)


def test_a_shifted_score_has_a_small_p_value_and_a_large_index() -> None:
    rng = np.random.default_rng(0)
    shift = shift_of_scores(rng.normal(0, 1, 300), rng.normal(1, 1, 200))
    assert shift.p_value < 1e-6
    assert shift.psi > 0.25
    assert shift.reference == pytest.approx(0, abs=0.3)
    assert shift.window == pytest.approx(1, abs=0.3)


def test_a_reference_of_one_value_can_be_compared() -> None:
    shift = shift_of_scores(np.ones(50), np.ones(60))
    assert (shift.p_value, shift.psi) == pytest.approx((1, 0), abs=1e-3)


def test_a_share_that_has_moved_is_noticed_and_one_that_has_not_is_not() -> None:
    assert shift_of_shares((10, 200), (60, 200)).p_value < 1e-6
    still = shift_of_shares((10, 200), (12, 200))
    assert still.p_value > 0.5
    assert still.psi < 0.01


def test_windows_of_the_same_distribution_alarm_no_more_often_than_the_level_says() -> None:
    """Six scores that depend on each other, and a share, at level 0.05: a false alarm in at most 5% of the windows."""
    rng, level, n_windows = np.random.default_rng(1), 0.05, 400
    alarms = 0
    for _ in range(n_windows):
        reference, window = (rng.normal(0, 1, (n, 6)) + rng.normal(0, 1, (n, 1)) for n in (150, 80))
        p_values = [shift_of_scores(reference[:, i], window[:, i]).p_value for i in range(6)]
        p_values.append(
            shift_of_shares((int((reference[:, 0] > 2).sum()), 150), (int((window[:, 0] > 2).sum()), 80)).p_value
        )
        alarms += min(holm(p_values)) < level
    assert alarms / n_windows <= level + 3 * np.sqrt(level * (1 - level) / n_windows)
    assert alarms > 0
