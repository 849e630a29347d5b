"""Tables 2 to 5, what else follows from a confusion matrix, and Wilson's interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)

from coronet_core.metrics import (
    balanced_accuracy,
    cohen_kappa,
    confusion_matrix,
    matthews_correlation,
    overall,
    ppv,
    sensitivity,
    specificity,
    wilson_interval,
)
from coronet_core.metrics.confusion import overall_figures, weighted_confusions
from coronet_core.support.errors import DataError

TABLE_5 = np.array([[845, 39, 1], [86, 972, 0], [1, 0, 9]])


def percent(value: float) -> float:
    return round(100 * value, 2)


def test_table_5_gives_table_2() -> None:
    table_2 = overall(TABLE_5)
    figures = (table_2.accuracy, table_2.precision, table_2.recall, table_2.f1_score)
    assert tuple(map(percent, figures)) == (93.50, 93.63, 93.50, 93.51)


def test_table_5_gives_table_3() -> None:
    assert {k: percent(v) for k, v in sensitivity(TABLE_5).items()} == {
        "healthy": 95.48,
        "pneumonia": 91.87,
        "covid19": 90.0,
    }


def test_table_5_gives_table_4() -> None:
    healthy, pneumonia, covid19 = ppv(TABLE_5).values()
    assert healthy == pytest.approx(0.9066, abs=1e-4)  # 845 / 932 = 0.90665; the paper cuts it off
    assert (percent(pneumonia), percent(covid19)) == (96.14, 90.0)


classes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)


@given(classes)
def test_figures_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    ours = overall(confusion_matrix(truth, predicted))
    precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted, average="weighted", zero_division=0)
    expected = [accuracy_score(truth, predicted), precision, recall, f1]
    np.testing.assert_allclose([ours.accuracy, ours.precision, ours.recall, ours.f1_score], expected)


@given(classes)
def test_figures_by_class_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    confusion = confusion_matrix(truth, predicted)
    for figure, score in ((sensitivity, recall_score), (ppv, precision_score)):
        expected = score(truth, predicted, labels=[0, 1, 2], average=None, zero_division=np.nan)
        np.testing.assert_allclose(list(figure(confusion).values()), expected)


def test_table_5_by_hand() -> None:
    assert balanced_accuracy(TABLE_5) == pytest.approx((845 / 885 + 972 / 1058 + 9 / 10) / 3)
    by_chance = (885 * 932 + 1058 * 1011 + 10 * 10) / 1953**2
    assert cohen_kappa(TABLE_5) == pytest.approx((1826 / 1953 - by_chance) / (1 - by_chance))
    healthy, pneumonia, covid19 = specificity(TABLE_5).values()
    assert healthy == pytest.approx(981 / 1068)  # 86 + 1 of the others are taken for healthy
    assert pneumonia == pytest.approx(856 / 895)
    assert covid19 == pytest.approx(1942 / 1943)


@given(classes)
def test_specificity_is_the_sensitivity_to_the_rest(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    figures = specificity(confusion_matrix(truth, predicted))
    expected = [
        recall_score(truth != i, predicted != i, zero_division=np.nan) if (truth != i).any() else np.nan
        for i in range(3)
    ]
    np.testing.assert_allclose(list(figures.values()), expected)


weighted = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=40)


@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn's, about classes that are missing
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(weighted)
def test_weighted_figures_are_those_of_scikit_learn(images: list[tuple[int, int, int]]) -> None:
    truth, predicted, weight = np.array([*images, (0, 1, 1)]).T  # an image that counts, at least
    (confusion,) = weighted_confusions(truth, predicted, weight[None].astype(float))
    is_there = weight > 0
    kept = (truth[is_there], predicted[is_there])
    weights = weight[is_there]
    assert balanced_accuracy(confusion) == pytest.approx(balanced_accuracy_score(*kept, sample_weight=weights))
    if len(np.unique(np.concatenate(kept))) > 1:
        assert cohen_kappa(confusion) == pytest.approx(cohen_kappa_score(*kept, sample_weight=weights))
    if len(np.unique(kept[0])) > 1:
        assert matthews_correlation(confusion) == pytest.approx(matthews_corrcoef(*kept, sample_weight=weights))
    else:
        assert np.isnan(matthews_correlation(confusion))


def test_agreement_without_a_choice_is_undefined() -> None:
    alone = np.array([[5, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert np.isnan(cohen_kappa(alone))
    assert np.isnan(matthews_correlation(alone))
    always_healthy = np.array([[5, 0, 0], [3, 0, 0], [1, 0, 0]])
    assert (cohen_kappa(always_healthy), matthews_correlation(always_healthy)) == (0, 0)


def test_a_stack_of_matrices_gives_what_each_of_them_gives() -> None:
    stack = np.random.default_rng(0).integers(0, 9, (2, 5, 3, 3))
    for figure in (balanced_accuracy, cohen_kappa, matthews_correlation):
        each = [[figure(matrix) for matrix in row] for row in stack]
        np.testing.assert_allclose(figure(stack), each)
    np.testing.assert_allclose(overall_figures(stack)["f1_score"][1, 4], overall(stack[1, 4]).f1_score)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, Table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (9, 10, 0.596, 0.982),  # COVID-19 recall of Table 5
    ],
)
def test_wilson_interval_gives_published_examples(successes: int, trials: int, low: float, high: float) -> None:
    digits = 3 if trials == 10 else 4
    interval = wilson_interval(successes, trials)
    assert tuple(round(edge, digits) for edge in interval) == (low, high)


def test_wilson_interval_without_trials_knows_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_no_test_images_is_an_error() -> None:
    with pytest.raises(DataError, match="no test images"):
        overall(np.zeros((3, 3), dtype=np.int64))
