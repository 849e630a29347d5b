"""Areas under curves with weights, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from coronet_core.metrics.auc import (
    Ranking,
    average_precision,
    macro,
    precision_recall_curve,
    rankings,
    roc_auc,
    roc_curve,
)

Images = list[tuple[bool, int, int]]
images = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40)
"""Of the class or not, score (with ties), weight."""


def ranked(of: Images) -> tuple[np.ndarray, np.ndarray, np.ndarray, Ranking]:
    is_positive, score, weight = (np.array(column) for column in zip(*of, strict=True))
    return is_positive, score / 7, weight.astype(float), Ranking.of(score / 7, is_positive)


@given(images)
def test_weighted_areas_are_those_of_scikit_learn(of: Images) -> None:
    is_positive, score, weight, ranking = ranked([*of, (True, 3, 1), (False, 2, 1)])
    expected = metrics.roc_auc_score(is_positive, score, sample_weight=weight)
    assert roc_auc(ranking, weight[None]) == pytest.approx(expected)
    expected = metrics.average_precision_score(is_positive, score, sample_weight=weight)
    assert average_precision(ranking, weight[None]) == pytest.approx(expected)


@given(images)
def test_an_area_that_does_not_exist_is_nan(of: Images) -> None:
    _, _, weight, ranking = ranked([(True, *rest) for _, *rest in of])  # type: ignore[misc]  # two integers
    assert np.isnan(roc_auc(ranking, weight[None])).all()
    assert np.isnan(average_precision(ranking, weight[None])).all()
    _, _, weight, ranking = ranked([(False, *rest) for _, *rest in of])  # type: ignore[misc]
    assert np.isnan(roc_auc(ranking, weight[None])).all()
    assert np.isnan(average_precision(ranking, weight[None])).all()


def test_many_weightings_give_what_each_of_them_gives() -> None:
    rng = np.random.default_rng(0)
    ranking = Ranking.of(rng.integers(0, 9, 50) / 9, rng.random(50) < 0.3)
    weights = rng.integers(0, 3, (20, 50)).astype(float)
    for area in (roc_auc, average_precision):
        each = np.concatenate([area(ranking, row[None]) for row in weights])
        np.testing.assert_allclose(area(ranking, weights), each)


def test_a_count_is_as_good_as_a_repeated_image() -> None:
    rng = np.random.default_rng(1)
    score, is_positive, count = rng.random(30), rng.random(30) < 0.4, rng.integers(0, 4, 30)
    repeated = Ranking.of(np.repeat(score, count), np.repeat(is_positive, count))
    for area in (roc_auc, average_precision):
        once = area(repeated, np.ones((1, count.sum())))
        assert area(Ranking.of(score, is_positive), count[None].astype(float)) == pytest.approx(once)


def test_the_mean_is_over_the_classes_that_have_a_value() -> None:
    by_class = np.array([[0.5, 1.0, np.nan], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(macro(by_class), [0.75, np.nan])


@given(images)
def test_curves_are_those_of_scikit_learn(of: Images) -> None:
    is_positive, score, _, ranking = ranked([*of, (True, 3, 1), (False, 2, 1)])
    ours, theirs = roc_curve(ranking), metrics.roc_curve(is_positive, score, drop_intermediate=False)[:2]
    points, theirs_points = ({tuple(point) for point in np.round(curve, 9).T.tolist()} for curve in (ours, theirs))
    assert points <= theirs_points  # the corners among them
    assert np.trapezoid(ours[1], ours[0]) == pytest.approx(np.trapezoid(theirs[1], theirs[0]))
    precision, recall, _ = metrics.precision_recall_curve(is_positive, score)
    np.testing.assert_allclose(precision_recall_curve(ranking), [recall[-2::-1], precision[-2::-1]])


def test_each_class_is_ranked_by_its_own_score() -> None:
    truth, scores = np.array([0, 1, 2, 0]), np.array([[0.9, 0.1, 0], [0.2, 0.7, 0.1], [0, 0.3, 0.7], [0.1, 0.9, 0]])
    areas = [roc_auc(ranking, np.ones((1, 4)))[0] for ranking in rankings(truth, scores)]
    assert areas == pytest.approx([0.75, 2 / 3, 1.0])
