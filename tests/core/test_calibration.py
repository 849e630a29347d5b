"""Temperature scaling and the errors of probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss

from coronet_core.metrics.calibration import (
    COLDEST,
    HOTTEST,
    calibration_error,
    calibration_errors,
    fit_temperature,
    is_at_the_end,
    probabilities_of,
    reliability,
)
from coronet_core.support.errors import DataError


def drawn(temperature: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes that are drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (n, 3))
    cumulative = probabilities_of(logits, temperature).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > cumulative[:, :2]).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_drew_the_classes_is_found(temperature: float) -> None:
    logits, truth = drawn(temperature)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.05)


def test_the_right_temperature_mends_all_errors() -> None:
    logits, truth = drawn(temperature=2.5)
    before, after = (calibration_errors(logits, truth, t) for t in (1.0, fit_temperature(logits, truth)))
    assert after.nll < before.nll
    assert after.brier < before.brier
    assert before.ece > 0.1
    assert after.ece < 0.02


@given(st.lists(st.tuples(st.integers(0, 2), *[st.integers(-50, 50)] * 3), min_size=1, max_size=30))
def test_no_temperature_nearby_is_better(images: list[tuple[int, int, int, int]]) -> None:
    truth, logits = np.array(images)[:, 0], np.array(images, dtype=float)[:, 1:]
    found = fit_temperature(logits, truth)
    least = calibration_errors(logits, truth, found).nll
    for other in (1.0, found * 1.05, found / 1.05):
        if COLDEST <= other <= HOTTEST:
            assert least <= calibration_errors(logits, truth, other).nll + 1e-9


@pytest.mark.parametrize(("sign", "end"), [(1, COLDEST), (-1, HOTTEST)])
def test_images_that_are_all_right_or_all_wrong_end_at_the_range(sign: int, end: float) -> None:
    truth = np.array([0, 1, 2, 0])
    temperature = fit_temperature(sign * 10.0 * np.eye(3)[truth], truth)
    assert temperature == pytest.approx(end)
    assert is_at_the_end(temperature)
    assert np.isfinite(calibration_errors(sign * 1e6 * np.eye(3)[truth], truth, temperature).nll)
    assert not is_at_the_end(1.0)


def test_no_images_is_an_error() -> None:
    with pytest.raises(DataError, match="no validation images"):
        fit_temperature(np.empty((0, 3)), np.empty(0, dtype=np.int64))


def test_errors_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.9, 0.05, 0.05], [0.62, 0.38, 0.0], [0.1, 0.3, 0.6]]) + 1e-12
    truth = np.array([0, 1, 0, 2])
    errors = calibration_errors(np.log(probabilities), truth)
    # 0.9 is in the bin to 14/15: 1 of 2 right; 0.62 in the bin to 10/15, right; 0.6 = 9/15 in the bin to 9/15, right
    assert errors.ece == pytest.approx((2 * 0.4 + 0.38 + 0.4) / 4)
    squares = (0.01 + 0.01) + (0.81 + 0.9025 + 0.0025) + (0.38**2 + 0.38**2) + (0.01 + 0.09 + 0.16)
    assert errors.brier == pytest.approx(squares / 4)
    assert errors.nll == pytest.approx(log_loss(truth, probabilities, labels=[0, 1, 2]))


@given(st.lists(st.tuples(st.integers(0, 2), *[st.integers(-9, 9)] * 3), min_size=1, max_size=30))
def test_errors_are_those_of_scikit_learn(images: list[tuple[int, int, int, int]]) -> None:
    truth, logits = np.array(images)[:, 0], np.array(images, dtype=float)[:, 1:]
    probabilities = softmax(logits, axis=1)
    errors = calibration_errors(logits, truth)
    assert errors.nll == pytest.approx(log_loss(truth, probabilities, labels=[0, 1, 2]), abs=1e-9)
    assert errors.brier == pytest.approx(brier_score_loss(truth, probabilities, labels=[0, 1, 2], scale_by_half=False))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), *[st.integers(-9, 9)] * 3), min_size=1, max_size=30))
def test_weights_count_an_image_as_often_as_they_say(images: list[tuple[int, ...]]) -> None:
    rows = np.array(images)
    truth, counts, logits = rows[:, 0], rows[:, 1], rows[:, 2:].astype(float)
    found = calibration_error(probabilities_of(logits), truth)(np.stack([np.ones(len(rows)), counts]))
    once = calibration_errors(logits, truth).ece
    repeated = calibration_errors(logits.repeat(counts, axis=0), truth.repeat(counts)).ece
    assert found["calibration_error"] == pytest.approx([once, repeated])


def test_bins_are_closed_above_and_show_what_is_in_them() -> None:
    bins = reliability(np.array([[0.6, 0.2, 0.2], [0.61, 0.3, 0.09], [1.0, 0, 0]]), np.array([0, 1, 0]))
    assert [b.images for b in bins] == [0] * 8 + [1, 1] + [0] * 4 + [1]
    assert (bins[8].confidence, bins[8].accuracy, bins[9].accuracy) == (0.6, 1.0, 0.0)
    assert (bins[0].confidence, bins[0].accuracy) == (None, None)
    assert (bins[0].low, bins[14].high) == (0.0, 1.0)


def test_the_prediction_stays_the_same() -> None:
    logits, _ = drawn(1.0, n=100)
    np.testing.assert_array_equal(probabilities_of(logits, 7.0).argmax(axis=1), logits.argmax(axis=1))
