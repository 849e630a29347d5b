"""Prediction sets: how many of them hold the truth, and when none is answered."""

import numpy as np
import pytest

from coronet_core.metrics.conformal import abstention, conformal_quantile, is_abstained, prediction_sets
from coronet_core.metrics.intervals import wilson_interval


def images(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a classifier that is right more often than not, and the truth."""
    truth = rng.choice(3, n, p=[0.5, 0.4, 0.1])
    scores = rng.normal(0, 1, (n, 3)) + 1.5 * np.eye(3)[truth]
    exponents = np.exp(scores)
    return exponents / exponents.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize(("n", "miscoverage"), [(19, 0.1), (50, 0.1), (200, 0.25)])
def test_sets_hold_the_truth_as_often_as_promised(n: int, miscoverage: float) -> None:
    rng = np.random.default_rng(0)
    coverages = []
    for _ in range(300):
        quantile = conformal_quantile(*images(n, rng), miscoverage)
        probabilities, truth = images(200, rng)
        coverages.append(abstention(prediction_sets(probabilities, quantile), truth, 0.95).coverage.share)
    rank = np.ceil((n + 1) * (1 - miscoverage) - 1e-9)
    assert np.mean(coverages) == pytest.approx(rank / (n + 1), abs=0.012)  # exact for exchangeable images
    assert np.mean(coverages) > 1 - miscoverage - 0.012


def test_the_quantile_by_hand() -> None:
    truth = np.zeros(9, dtype=np.int64)
    probabilities = np.stack([np.arange(1, 10) / 10, 1 - np.arange(1, 10) / 10, np.zeros(9)], axis=1)
    assert conformal_quantile(probabilities, truth, 0.2) == pytest.approx(0.8)  # the 8th of 0.1 .. 0.9
    assert conformal_quantile(probabilities, truth, 0.1) == pytest.approx(0.9)  # the 9th: 10 * 0.9 is 9, not more
    assert conformal_quantile(probabilities, truth, 0.05) == np.inf  # the 10th of 9


def test_too_few_validation_images_leave_all_to_a_person() -> None:
    probabilities, truth = images(8, np.random.default_rng(0))
    quantile = conformal_quantile(probabilities, truth, 0.1)
    sets = prediction_sets(probabilities, quantile)
    assert sets.all()
    found = abstention(sets, truth, 0.95)
    assert (found.abstained.share, found.coverage.share) == (1, 1)
    assert (found.answered_right.share, found.answered_right.interval) == (None, None)


def test_sets_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.05, 0.05, 0.9]])
    sets = prediction_sets(probabilities, 0.55)
    assert sets.tolist() == [[True, False, False], [True, True, False], [False] * 3, [False, False, True]]
    assert is_abstained(sets).tolist() == [False, True, True, False]
    found = abstention(sets, np.array([0, 1, 0, 1]), 0.95)
    assert (found.coverage.share, found.abstained.share, found.answered_right.share) == (0.5, 0.5, 0.5)
    assert found.coverage.interval == wilson_interval(2, 4)
    assert found.answered_right.interval == wilson_interval(1, 2)
    assert found.coverage_by_class["pneumonia"].share == 0.5
    assert found.abstained_by_class["healthy"].share == 0.5
    assert found.coverage_by_class["covid19"].share is None
    assert found.set_sizes == [1, 2, 1, 0]
