"""Where on its ROC a detector of one class is run: at a wanted specificity, or at a threshold chosen beforehand.

The first reads the test ROC and says what is possible; its threshold was chosen with the answers in hand. The second is
what would happen: a threshold that reached a sensitivity on validation images, applied to test images unchanged.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.metrics.arrays import Floats, ratio
from coronet_core.metrics.auc import Ranking

ROUNDING: Final = 1e-9
"""1 - 0.9 is a little less than 0.1: a specificity that is reached exactly must count."""


def sensitivity_at(ranking: Ranking, weights: Floats, specificity: float) -> Floats:
    """Return the highest sensitivity (r,) that leaves `specificity` or more, for `weights` (r, n).

    NaN without images of the class or of its rest.
    """
    tp, fp = ranking.counts(weights)  # (r, k + 1)
    positives, negatives = tp[:, -1], fp[:, -1]
    is_specific = fp <= (1 - specificity + ROUNDING) * negatives[:, None]
    best = np.where(is_specific, tp, 0).max(axis=1)
    return np.where(negatives > 0, ratio(best, positives), np.nan)


def threshold_for(scores: Floats, is_positive: NDArray[np.bool_], sensitivity: float) -> float | None:
    """Return the highest threshold that `sensitivity` or more of the images of the class reach.

    `scores` and `is_positive` are (n,); a score equal to the threshold reaches it. None without images of the class.
    """
    falling = np.sort(scores[is_positive])[::-1]
    if len(falling) == 0:
        return None
    wanted = math.ceil(sensitivity * len(falling) - ROUNDING)
    return float(falling[max(wanted, 1) - 1])
