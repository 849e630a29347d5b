"""Sensitivity at a specificity, and the threshold that reaches a sensitivity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from coronet_core.metrics.auc import Ranking, sensitivity_at, threshold_for

SCORES = np.array([0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01])
IS_POSITIVE = np.array([True, False, True, True, *[False] * 7, True])  # 4 of the class, 8 others


@pytest.mark.parametrize(
    ("specificity", "sensitivity"), [(1.0, 0.25), (0.9, 0.25), (0.875, 0.75), (0.5, 0.75), (0.0, 1.0)]
)
def test_sensitivity_at_a_specificity_by_hand(specificity: float, sensitivity: float) -> None:
    ranking = Ranking.of(SCORES, IS_POSITIVE)
    assert sensitivity_at(ranking, np.ones((1, 12)), specificity) == [sensitivity]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=40), st.integers(0, 20))
def test_it_is_the_best_point_of_the_roc(images: list[tuple[bool, int]], twentieths: int) -> None:
    is_positive, score = (np.array(column) for column in zip(*images, (True, 5), (False, 4), strict=True))
    rate, sensitivity, _ = roc_curve(is_positive, score, drop_intermediate=False)
    best = sensitivity[1 - rate >= twentieths / 20 - 1e-9].max()
    found = sensitivity_at(Ranking.of(score.astype(float), is_positive), np.ones((1, len(score))), twentieths / 20)
    assert found == pytest.approx(best)


def test_a_specificity_that_is_reached_exactly_counts() -> None:
    score, is_positive = np.arange(11, 0, -1) / 11, np.arange(11) == 1  # one of ten others is above the class's image
    assert sensitivity_at(Ranking.of(score, is_positive), np.ones((1, 11)), 0.9) == [1.0]


def test_without_a_class_or_its_rest_there_is_no_such_point() -> None:
    ranking = Ranking.of(SCORES, IS_POSITIVE)
    weights = np.stack([IS_POSITIVE, ~IS_POSITIVE]).astype(float)
    assert np.isnan(sensitivity_at(ranking, weights, 0.9)).all()


@pytest.mark.parametrize(
    ("floor", "threshold"), [(0.25, 0.95), (0.5, 0.8), (0.51, 0.7), (0.75, 0.7), (0.76, 0.01), (1.0, 0.01)]
)
def test_the_threshold_is_the_highest_that_reaches_the_floor(floor: float, threshold: float) -> None:
    found = threshold_for(SCORES, IS_POSITIVE, floor)
    assert found == threshold
    assert (SCORES[IS_POSITIVE] >= threshold).mean() >= floor


def test_without_images_of_the_class_there_is_no_threshold() -> None:
    assert threshold_for(SCORES, np.zeros(12, dtype=bool), 0.9) is None
