"""Tables 2 to 5 of the paper from a confusion matrix, and Wilson's interval for its proportions.

A confusion matrix is (3, 3) int64, rows the truth, columns the prediction, both in the order of CLASSES. All
figures are fractions in [0, 1]; the tables print them in percent.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from coronet_core.classes import CLASSES, ClassName
from coronet_core.errors import DataError

ConfusionMatrix = NDArray[np.int64]
Interval = tuple[float, float]


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


def overall(confusion: ConfusionMatrix) -> Overall:
    """Return Table 2. Raises DataError for an empty confusion matrix."""
    support = confusion.sum(axis=1)
    if support.sum() == 0:
        raise DataError("no test images: nothing to evaluate. Raise data.split.test_fraction or add images.")
    recall = _ratio(confusion.diagonal(), support)
    precision = _ratio(confusion.diagonal(), confusion.sum(axis=0))
    f1_score = _ratio(2 * precision * recall, precision + recall)
    weights = support / support.sum()
    return Overall(
        accuracy=float(confusion.trace() / support.sum()),
        precision=float(weights @ np.nan_to_num(precision)),
        recall=float(weights @ np.nan_to_num(recall)),
        f1_score=float(weights @ np.nan_to_num(f1_score)),
    )


def sensitivity(confusion: ConfusionMatrix) -> dict[ClassName, float]:
    """Return Table 3: the share of each class's images that is recognised; NaN for a class without images."""
    return _by_class(_ratio(confusion.diagonal(), confusion.sum(axis=1)))


def ppv(confusion: ConfusionMatrix) -> dict[ClassName, float]:
    """Return Table 4: the share of each class's predictions that is right; NaN for a class never predicted."""
    return _by_class(_ratio(confusion.diagonal(), confusion.sum(axis=0)))


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson 1927); the whole of [0, 1] without trials."""
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half_width = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return max(0.0, float(centre - half_width)), min(1.0, float(centre + half_width))


def _ratio(numerator: NDArray[np.number], denominator: NDArray[np.number]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(numerator / denominator, dtype=np.float64)


def _by_class(values: NDArray[np.float64]) -> dict[ClassName, float]:
    return {label: float(value) for label, value in zip(CLASSES, values, strict=True)}
