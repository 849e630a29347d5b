"""Which epoch of a training is the best, and when training ends because none has been better for a while."""

import math
from collections.abc import Mapping, Sequence

EpochMetrics = dict[str, float]
History = list[EpochMetrics]
"""One row an epoch, column `epoch` counting from 1; 0 is the start, before training, where a schedule validates it."""


def best_epoch(history: Sequence[Mapping[str, float]], column: str) -> int:
    """Return the epoch with the lowest value of `column`, or the highest if it is an accuracy or an area.

    The earliest of equals is the best. The start, which was not trained, has no figures of training; if nothing was
    trained behind it, it is the best.
    """
    rows = [row for row in history if not math.isnan(row.get(column, math.nan))]
    if not rows:
        return int(history[0]["epoch"])
    is_higher_better = column.endswith(("accuracy", "roc_auc"))
    best = (max if is_higher_better else min)(rows, key=lambda row: row[column])
    return int(best["epoch"])


def is_exhausted(n_epochs: int, best: int, patience_epochs: int | None) -> bool:
    """Return whether, after `n_epochs`, the last `patience_epochs` were no better than the epoch `best`.

    None never ends a training early.
    """
    return patience_epochs is not None and n_epochs - best >= patience_epochs
