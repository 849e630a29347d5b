"""All figures of a test set as one function of its images' weights: what the bootstrap and the comparisons take."""

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES
from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.auc import average_precision, macro, rankings, roc_auc
from coronet_core.metrics.bootstrap import Statistics
from coronet_core.metrics.confusion import (
    balanced_accuracy,
    cohen_kappa,
    matthews_correlation,
    overall_figures,
    recalls,
    specificities,
    weighted_confusions,
)


def figures_of(truth: NDArray[np.int64], predicted: NDArray[np.int64], scores: Floats) -> Statistics:
    """Return the function from weights (r, n) to the figures, each (r,).

    `truth` and `predicted` are class indices (n,), `scores` (n, 3) what the areas rank the images by. Figures by class
    are named `sensitivity.<class>`, `specificity.<class>`, `roc_auc.<class>` and `pr_auc.<class>`, the means of the
    areas `<area>.macro`. Means over classes are NaN for weights that leave out a class altogether: they would be a mean
    of something else.
    """
    ranked = rankings(truth, scores)
    there = np.unique(truth)

    def figures(weights: Floats) -> dict[str, Floats]:
        confusion = weighted_confusions(truth, predicted, weights)  # (r, 3, 3)
        by_class = {
            "sensitivity": recalls(confusion),  # (r, 3)
            "specificity": specificities(confusion),
            "roc_auc": np.stack([roc_auc(ranking, weights) for ranking in ranked], axis=1),
            "pr_auc": np.stack([average_precision(ranking, weights) for ranking in ranked], axis=1),
        }
        is_whole = (confusion.sum(axis=-1)[:, there] > 0).all(axis=1)
        values = overall_figures(confusion) | {
            "balanced_accuracy": np.where(is_whole, balanced_accuracy(confusion), np.nan),
            "cohen_kappa": cohen_kappa(confusion),
            "mcc": matthews_correlation(confusion),
        }
        for name, columns in by_class.items():
            values |= {f"{name}.{label}": columns[:, i] for i, label in enumerate(CLASSES)}
        for name in ("roc_auc", "pr_auc"):
            values[f"{name}.macro"] = np.where(is_whole, macro(by_class[name]), np.nan)
        return values

    return figures
