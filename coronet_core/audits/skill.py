"""What a classifier scores on a view of the test images, and how much of its skill on whole images that is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.metrics.bootstrap import bootstrap, estimate
from coronet_core.metrics.confusion import confusion_matrix
from coronet_core.metrics.intervals import Interval, percentile_interval, wilson_interval
from coronet_core.metrics.scores import figures_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The labelled images that figures are taken from, and how their intervals are."""

    truth: NDArray[np.int64]
    """Class indices (n,)."""
    groups: NDArray[np.object_]
    """Patient groups (n,), which the bootstrap draws."""
    confidence: float
    replicates: int
    seed: int

    @property
    def n_classes(self) -> int:
        """Classes that have images."""
        return len(np.unique(self.truth))


@dataclass(frozen=True, kw_only=True)
class ViewFigures:
    """What a classifier scores. Means are over the classes that have images; None is undefined."""

    accuracy: float
    accuracy_interval: Interval
    """Wilson's."""
    balanced_accuracy: float
    balanced_accuracy_interval: Interval | None
    """Of the bootstrap over patients, as that of the areas."""
    roc_auc: dict[ClassName, float | None]
    roc_auc_macro: float | None
    roc_auc_macro_interval: Interval | None


def view_figures(probabilities: Floats, sample: Sample) -> ViewFigures:
    """Return what `probabilities` (n, 3) come to on the images of `sample`."""
    truth, predicted = sample.truth, probabilities.argmax(axis=1)
    statistics = figures_of(truth, predicted, probabilities)
    values = estimate(statistics, len(truth))
    drawn = bootstrap(statistics, sample.groups, sample.replicates, sample.seed)
    n_right = int(confusion_matrix(truth, predicted).trace())
    return ViewFigures(
        accuracy=n_right / len(truth),
        accuracy_interval=wilson_interval(n_right, len(truth), sample.confidence),
        balanced_accuracy=values["balanced_accuracy"],
        balanced_accuracy_interval=percentile_interval(drawn["balanced_accuracy"], sample.confidence),
        roc_auc={label: _known(values[f"roc_auc.{label}"]) for label in CLASSES},
        roc_auc_macro=_known(values["roc_auc.macro"]),
        roc_auc_macro_interval=percentile_interval(drawn["roc_auc.macro"], sample.confidence),
    )


@dataclass(frozen=True, kw_only=True)
class Retained:
    """Shares of the skill on whole images that are left on a view: 1 is all of it, 0 what chance gives.

    None where the interval on whole images reaches down to chance: a share of next to nothing says nothing.
    """

    balanced_accuracy: float | None
    """(a - 1/k) / (a_whole - 1/k) for k classes."""
    roc_auc: float | None
    """(A - 1/2) / (A_whole - 1/2) of the mean area."""

    @property
    def known(self) -> list[float]:
        """The shares that are defined."""
        return [share for share in (self.balanced_accuracy, self.roc_auc) if share is not None]


def retained(view: ViewFigures, whole: ViewFigures, n_classes: int) -> Retained:
    """Return how much of the skill on `whole` images is left on `view`, among `n_classes` classes.

    Both measures are needed. A mask may shift all predictions to one class, which leaves a balanced accuracy of chance
    though the probabilities still rank the images; the ROC-AUC sees only the ranking.
    """
    return Retained(
        balanced_accuracy=_share(
            view.balanced_accuracy, whole.balanced_accuracy, whole.balanced_accuracy_interval, 1 / n_classes
        ),
        roc_auc=_share(view.roc_auc_macro, whole.roc_auc_macro, whole.roc_auc_macro_interval, 1 / 2),
    )


def _share(value: float | None, whole: float | None, interval: Interval | None, chance: float) -> float | None:
    if value is None or whole is None or interval is None or interval[0] <= chance:
        return None
    return (value - chance) / (whole - chance)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
