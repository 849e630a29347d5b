"""The files in `reports/plots`, drawn by `dvc plots` and by the report."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES, ClassName
from coronet_core.metrics.auc import precision_recall_curve, rankings, roc_curve
from coronet_core.metrics.calibration import reliability
from coronet_core.support.whole_files import write_whole
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.tables import ranking_scores
from tasks.runtime.params.schema import EvaluateParams
from tasks.runtime.paths import CONFUSION_PLOT, RELIABILITY_PLOT, precision_recall_plot, roc_plot


@dataclass(frozen=True)
class Curves:
    """The curves of one class against the rest, empty without images of the class, or of any other."""

    roc: pd.DataFrame
    """Columns `false_positive_rate` and `sensitivity`."""
    precision_recall: pd.DataFrame
    """Columns `recall` and `precision`."""


def curves_of(test: SplitPredictions, params: EvaluateParams) -> dict[ClassName, Curves]:
    """Return the curves of each class. They rank by the scores of the tables (`evaluate.auc_of`), so areas agree."""
    found: dict[ClassName, Curves] = {}
    for label, ranking in zip(CLASSES, rankings(test.truth, ranking_scores(test, params)), strict=True):
        roc = pd.DataFrame(dict(zip(("false_positive_rate", "sensitivity"), roc_curve(ranking), strict=True)))
        curve = pd.DataFrame(dict(zip(("recall", "precision"), precision_recall_curve(ranking), strict=True)))
        exists = 0 < ranking.is_positive.sum() < len(ranking.is_positive)
        found[label] = Curves(roc, curve) if exists else Curves(roc.head(0), curve.head(0))
    return found


def write_curves(test: SplitPredictions, temperature: float, params: EvaluateParams) -> None:
    """Write the confusions, the ROC and precision-recall curves of each class, and the reliability diagram."""
    names = [DISPLAY_NAMES[label] for label in CLASSES]
    confusions = {"truth": [names[i] for i in test.truth], "predicted": [names[i] for i in test.predicted]}
    _write(CONFUSION_PLOT, pd.DataFrame(confusions))
    for label, curves in curves_of(test, params).items():
        _write(roc_plot(label), curves.roc)
        _write(precision_recall_plot(label), curves.precision_recall)
    bins = {
        "as_given": reliability(test.probabilities(), test.truth),
        "calibrated": reliability(test.probabilities(temperature), test.truth),
    }
    points = [
        {"probabilities": kind, "confidence": one.confidence, "accuracy": one.accuracy, "images": one.images}
        for kind, diagram in bins.items()
        for one in diagram
        if one.images
    ]
    _write(RELIABILITY_PLOT, pd.DataFrame(points))


def _write(path: Path, table: pd.DataFrame) -> None:
    write_whole(path, partial(table.to_csv, index=False))
