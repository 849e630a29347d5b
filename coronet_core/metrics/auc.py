"""ROC and precision-recall curves of one class against the rest: areas, and the operating points on them."""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES
from coronet_core.metrics.arrays import Floats, safe_divide

ROUNDING: Final = 1e-9
"""1 - 0.9 is a little less than 0.1: a specificity that is reached exactly must count."""


@dataclass(frozen=True)
class Ranking:
    """Images by falling score, and where each threshold ends."""

    order: NDArray[np.int64]
    """Positions of the images (n,), highest score first."""
    is_positive: NDArray[np.bool_]
    """Whether each image is of the class (n,), in that order."""
    ends: NDArray[np.int64]
    """Places in that order of the last image of each threshold (k,)."""
    thresholds: Floats
    """The scores of these images (k,), falling."""

    @classmethod
    def of(cls, scores: Floats, is_positive: NDArray[np.bool_]) -> Self:
        """Rank images by `scores` (n,), which must be finite."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
        return cls(order, is_positive[order], ends, ranked[ends])

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return TP and FP, each (r, k + 1), for `weights` (r, n); the first threshold is above all scores."""
        ranked = weights[:, self.order]
        none = np.zeros((len(weights), 1))
        return tuple(  # type: ignore[return-value]  # it is a pair
            np.hstack([none, (ranked * chosen).cumsum(axis=1)[:, self.ends]])
            for chosen in (self.is_positive, ~self.is_positive)
        )


def rankings(truth: NDArray[np.int64], scores: Floats) -> list[Ranking]:
    """Return the ranking of each class: `truth` class indices (n,), `scores` (n, 3)."""
    return [Ranking.of(scores[:, i], truth == i) for i in range(len(CLASSES))]


def roc_auc(ranking: Ranking, weights: Floats) -> Floats:
    """Return the areas (r,) under the ROC for `weights` (r, n)."""
    tp, fp = ranking.counts(weights)
    area = (np.diff(fp) * (tp[:, 1:] + tp[:, :-1])).sum(axis=1) / 2
    return safe_divide(area, tp[:, -1] * fp[:, -1])


def average_precision(ranking: Ranking, weights: Floats) -> Floats:
    """Return the areas (r,) under the precision-recall curve for `weights` (r, n)."""
    tp, fp = ranking.counts(weights)
    precision = np.nan_to_num(safe_divide(tp, tp + fp))
    area = (np.diff(tp) * precision[:, 1:]).sum(axis=1)
    return np.where(fp[:, -1] > 0, safe_divide(area, tp[:, -1]), np.nan)


def macro(by_class: Floats) -> Floats:
    """Return the mean (...) over those classes of `by_class` (..., 3) that have a value; NaN if none has."""
    is_known = np.isfinite(by_class)
    return safe_divide(np.where(is_known, by_class, 0).sum(axis=-1), is_known.sum(axis=-1))


def roc_curve(ranking: Ranking) -> tuple[Floats, Floats]:
    """Return 1 - specificity and sensitivity, each (p,), at the corners of the ROC; NaN without a class or its rest."""
    (tp,), (fp,) = ranking.counts(np.ones((1, len(ranking.order))))
    turns = (np.diff(tp, 2) != 0) | (np.diff(fp, 2) != 0)
    is_corner = np.concatenate([[True], turns, [True]])
    return safe_divide(fp, fp[-1])[is_corner], safe_divide(tp, tp[-1])[is_corner]


def precision_recall_curve(ranking: Ranking) -> tuple[Floats, Floats]:
    """Return recall and precision, each (k,), at every threshold from the highest down."""
    (tp,), (fp,) = ranking.counts(np.ones((1, len(ranking.order))))
    return safe_divide(tp, tp[-1])[1:], safe_divide(tp, tp + fp)[1:]


def sensitivity_at(ranking: Ranking, weights: Floats, specificity: float) -> Floats:
    """Return the highest sensitivity (r,) that leaves `specificity` or more, for `weights` (r, n).

    NaN without images of the class or of its rest.
    """
    tp, fp = ranking.counts(weights)  # (r, k + 1)
    positives, negatives = tp[:, -1], fp[:, -1]
    is_specific = fp <= (1 - specificity + ROUNDING) * negatives[:, None]
    best = np.where(is_specific, tp, 0).max(axis=1)
    return np.where(negatives > 0, safe_divide(best, positives), np.nan)


def threshold_for(scores: Floats, is_positive: NDArray[np.bool_], sensitivity: float) -> float | None:
    """Return the highest threshold that `sensitivity` or more of the images of the class reach.

    `scores` and `is_positive` are (n,); a score equal to the threshold reaches it. None without images of the class.
    """
    falling = np.sort(scores[is_positive])[::-1]
    if len(falling) == 0:
        return None
    wanted = math.ceil(sensitivity * len(falling) - ROUNDING)
    return float(falling[max(wanted, 1) - 1])
