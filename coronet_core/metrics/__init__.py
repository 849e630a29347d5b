"""Figures of a classifier and how sure they are: confusion matrices, areas, intervals, calibration, abstention.

Arrays in, numbers out: nothing here reads files or knows the stages. Torch and numpy are all it needs.
"""

from coronet_core.metrics.confusion import (
    ConfusionMatrix,
    Overall,
    balanced_accuracy,
    cohen_kappa,
    confusion_matrix,
    matthews_correlation,
    overall,
    ppv,
    sensitivity,
    specificity,
)
from coronet_core.metrics.intervals import Interval, percentile_interval, wilson_interval
from coronet_core.metrics.scores import figures_of

__all__ = [
    "ConfusionMatrix",
    "Interval",
    "Overall",
    "balanced_accuracy",
    "cohen_kappa",
    "confusion_matrix",
    "figures_of",
    "matthews_correlation",
    "overall",
    "percentile_interval",
    "ppv",
    "sensitivity",
    "specificity",
    "wilson_interval",
]
