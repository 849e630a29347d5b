"""Tables 2 to 5 of the paper, and what else follows from a confusion matrix.

A confusion matrix is (3, 3), rows the truth, columns the prediction, both in the order of CLASSES. The functions of
arrays take any stack of them, (..., 3, 3), and give (...) or, by class, (..., 3): the bootstrap hands them thousands at
once. All figures but kappa and Matthews' correlation are fractions in [0, 1]; the tables print them in percent.
What is undefined is NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.metrics.arrays import Floats, safe_divide
from coronet_core.support.errors import DataError

ConfusionMatrix = NDArray[np.int64]


@dataclass(frozen=True)
class Overall:
    """Table 2. Precision, recall and F1 are means over the classes weighted by their support."""

    accuracy: float
    precision: float
    recall: float
    f1_score: float


def confusion_matrix(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> ConfusionMatrix:
    """Return Table 5 from class indices, each (n,)."""
    counts = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def weighted_confusions(truth: NDArray[np.int64], predicted: NDArray[np.int64], weights: Floats) -> Floats:
    """Return a confusion matrix (r, 3, 3) for each of the `weights` (r, n) of the images."""
    k = len(CLASSES)
    is_in_cell = np.eye(k * k)[truth * k + predicted]  # (n, 9)
    return np.asarray((weights @ is_in_cell).reshape(-1, k, k))


def overall(confusion: ConfusionMatrix) -> Overall:
    """Return Table 2. Raises DataError for an empty confusion matrix."""
    if confusion.sum() == 0:
        raise DataError("no test images: nothing to evaluate. Raise data.split.test_fraction or add images.")
    return Overall(**{name: float(value) for name, value in overall_figures(confusion).items()})


def overall_figures(confusion: NDArray[Any]) -> dict[str, Floats]:
    """Return the figures of Table 2, by their names in `Overall`, each (...)."""
    recall, precision = recalls(confusion), precisions(confusion)
    f1_score = safe_divide(2 * precision * recall, precision + recall)
    support = confusion.sum(axis=-1)
    return {
        "accuracy": safe_divide(_hits(confusion).sum(axis=-1), support.sum(axis=-1)),
        "precision": _weighted_mean(precision, support),
        "recall": _weighted_mean(recall, support),
        "f1_score": _weighted_mean(f1_score, support),
    }


def recalls(confusion: NDArray[Any]) -> Floats:
    """Return the sensitivity of each class (..., 3); NaN for a class without images."""
    return safe_divide(_hits(confusion), confusion.sum(axis=-1))


def precisions(confusion: NDArray[Any]) -> Floats:
    """Return the positive predictive value of each class (..., 3); NaN for a class never predicted."""
    return safe_divide(_hits(confusion), confusion.sum(axis=-2))


def specificities(confusion: NDArray[Any]) -> Floats:
    """Return the share of the other classes' images not taken for each class (..., 3); NaN where there are none."""
    not_of_class = confusion.sum(axis=(-2, -1))[..., None] - confusion.sum(axis=-1)
    wrongly_taken = confusion.sum(axis=-2) - _hits(confusion)
    return safe_divide(not_of_class - wrongly_taken, not_of_class)


def sensitivity(confusion: ConfusionMatrix) -> dict[ClassName, float]:
    """Return Table 3: the share of each class's images that is recognised; NaN for a class without images."""
    return _by_class(recalls(confusion))


def ppv(confusion: ConfusionMatrix) -> dict[ClassName, float]:
    """Return Table 4: the share of each class's predictions that is right; NaN for a class never predicted."""
    return _by_class(precisions(confusion))


def specificity(confusion: ConfusionMatrix) -> dict[ClassName, float]:
    """Return the share of the other classes' images that is not taken for each class; NaN without other images."""
    return _by_class(specificities(confusion))


def balanced_accuracy(confusion: NDArray[Any]) -> Floats:
    """Return the mean sensitivity (...) of the classes that have images."""
    recall = recalls(confusion)
    n_known = np.isfinite(recall).sum(axis=-1)
    return safe_divide(np.nan_to_num(recall).sum(axis=-1), n_known)


def cohen_kappa(confusion: NDArray[Any]) -> Floats:
    """Return the agreement with the truth beyond chance (...), at most 1, 0 by chance (Cohen 1960).

    NaN if truth and prediction are one and the same class throughout: chance agrees as well.
    """
    n = confusion.sum(axis=(-2, -1))
    observed = safe_divide(_hits(confusion).sum(axis=-1), n)
    expected = safe_divide((confusion.sum(axis=-1) * confusion.sum(axis=-2)).sum(axis=-1), n * n)
    return safe_divide(observed - expected, 1 - expected)


def matthews_correlation(confusion: NDArray[Any]) -> Floats:
    """Return the correlation of truth and prediction (...) in [-1, 1] for several classes (Gorodkin 2004).

    0 if the prediction is always the same, by convention; NaN if the truth is.
    """
    truth, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)  # (..., 3)
    n = truth.sum(axis=-1)
    covariance = _hits(confusion).sum(axis=-1) * n - (truth * predicted).sum(axis=-1)
    of_truth, of_predicted = (n * n - (counts * counts).sum(axis=-1) for counts in (truth, predicted))
    of_truth = np.where(of_truth == 0, np.nan, of_truth)
    return safe_divide(covariance, np.sqrt(of_truth * np.where(of_predicted == 0, 1, of_predicted)))


def _hits(confusion: NDArray[Any]) -> NDArray[Any]:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _weighted_mean(by_class: Floats, support: NDArray[Any]) -> Floats:
    return safe_divide((np.nan_to_num(by_class) * support).sum(axis=-1), support.sum(axis=-1))


def _by_class(values: Floats) -> dict[ClassName, float]:
    return {label: float(value) for label, value in zip(CLASSES, values, strict=True)}
