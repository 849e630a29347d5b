"""When an image needs a human reader: split-conformal prediction sets (Vovk et al. 2005; Sadinle et al. 2019).

The score of a validation image is 1 - p of its true class. With n of them and a miscoverage alpha, q is the
ceil((n + 1)(1 - alpha))-th smallest score; the prediction set of a new image is all classes c with 1 - p_c <= q. If
validation and new images are exchangeable, the set holds the truth with probability 1 - alpha or more, over all
classes together: a rare class may fare worse, so coverage is measured for each. An image whose set is not exactly one
class is abstained from. With n < 1 / alpha - 1 images there is no such q: it is infinite, every set holds every class,
and no image is answered.

Exchangeability is an approximation here: images of one patient are alike, and the same validation images chose the
CIN's epoch and the temperature. So what is promised is measured on the test split.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.intervals import Proportion

Sets = NDArray[np.bool_]
"""Whether each class is in an image's prediction set, (n, 3)."""


def conformal_quantile(probabilities: Floats, truth: NDArray[np.int64], miscoverage: float) -> float:
    """Return q, in [0, 1], from validation images: `probabilities` (n, 3), `truth` class indices (n,).

    Infinite if there are too few images.
    """
    scores = np.sort(1 - probabilities[np.arange(len(truth)), truth])
    rank = math.ceil((len(scores) + 1) * (1 - miscoverage) - 1e-9)  # 1e-9: 0.9 * 30 is 27, not a little more
    return float(scores[rank - 1]) if rank <= len(scores) else math.inf


def prediction_sets(probabilities: Floats, quantile: float) -> Sets:
    """Return the prediction sets (n, 3) of images with `probabilities` (n, 3); a set may be empty."""
    return np.asarray(1 - probabilities <= quantile)


def is_abstained(sets: Sets) -> NDArray[np.bool_]:
    """Return which images (n,) need a human reader: those whose set is not exactly one class."""
    return np.asarray(sets.sum(axis=1) != 1)


@dataclass(frozen=True)
class Abstention:
    """Measures of prediction sets on labelled images."""

    coverage: Proportion
    """Sets that contain the true class."""
    coverage_by_class: dict[ClassName, Proportion]
    abstained: Proportion
    abstained_by_class: dict[ClassName, Proportion]
    answered_right: Proportion
    """Accuracy on the images that do not need a human reader."""
    set_sizes: list[int]
    """Images whose set has 0, 1, 2 and 3 classes."""


def abstention(sets: Sets, truth: NDArray[np.int64], confidence: float) -> Abstention:
    """Measure the `sets` (n, 3) of images whose classes are `truth` (n,)."""
    holds_truth = sets[np.arange(len(truth)), truth]
    abstained = is_abstained(sets)
    of_class = {label: truth == i for i, label in enumerate(CLASSES)}
    return Abstention(
        coverage=Proportion.of(holds_truth, confidence),
        coverage_by_class={label: Proportion.of(holds_truth[here], confidence) for label, here in of_class.items()},
        abstained=Proportion.of(abstained, confidence),
        abstained_by_class={label: Proportion.of(abstained[here], confidence) for label, here in of_class.items()},
        answered_right=Proportion.of(holds_truth[~abstained], confidence),
        set_sizes=np.bincount(sets.sum(axis=1), minlength=len(CLASSES) + 1).tolist(),
    )
