"""Summary of a cross-validation: means and standard deviations over folds, and all test images pooled."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final

from coronet_core.common.classes import FoldUnit
from coronet_core.common.seeds import derive_seed
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.prediction_table import pooled_predictions
from tasks.evaluate.tables import areas_and_intervals, tables
from tasks.runtime.files import nulls_for_nan, read_json
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import METRICS, PREDICTIONS, SPLIT_REPORT

SUMMARISED: Final = ("accuracy", "balanced_accuracy", "precision", "recall", "f1_score", "macro_roc_auc")
"""Figures that are averaged over the folds."""


def summarise(folders: Sequence[Path], unit: FoldUnit, params: Params) -> dict[str, Any]:
    """Return the summary of the folds in `folders`, in order.

    Means and sample standard deviations are over the folds. `pooled` counts each image once, in the fold in which it
    was tested. Its proportions have Wilson's intervals, `NAME_interval`, which take images as independent; its
    `intervals` come from a bootstrap over patient groups. Areas under curves are not pooled, as scores of different
    networks are not comparable.
    """
    by_fold = [_fold(number, folder) for number, folder in enumerate(folders, start=1)]
    predictions = pooled_predictions([folder / PREDICTIONS for folder in folders])
    defined = {name: [fold[name] for fold in by_fold if fold[name] is not None] for name in SUMMARISED}
    return {
        "folds": len(folders),
        "unit": unit,
        "images": len(predictions.images),
        "patients": int(predictions.images["patient_id"].nunique()),
        "confidence": params.evaluate.confidence,
        "by_fold": by_fold,
        "mean": {name: fmean(values) if values else None for name, values in defined.items()},
        "sd": {name: stdev(values) if len(values) > 1 else None for name, values in defined.items()},
        "pooled": _pooled(predictions, params),
        **leaks(folders),
    }


def _fold(number: int, folder: Path) -> dict[str, Any]:
    metrics = read_json(folder / METRICS)
    figures = metrics | {"macro_roc_auc": metrics["roc_auc"]["macro"]}
    return {"fold": number, **{name: figures[name] for name in ("images", *SUMMARISED, "sensitivity", "specificity")}}


def _pooled(predictions: SplitPredictions, params: Params) -> dict[str, Any]:
    seed = derive_seed(params.seed, "cross-validation")
    intervals = areas_and_intervals(predictions, params.evaluate, seed)["intervals"]
    of_ranks = ("roc_auc", "pr_auc")
    figures = tables(predictions, params.evaluate.confidence) | {
        "intervals": {name: interval for name, interval in intervals.items() if name not in of_ranks}
    }
    pooled: dict[str, Any] = nulls_for_nan(figures)
    return pooled


def leaks(folders: Sequence[Path]) -> dict[str, Any]:
    """Return how many patients are in two splits, at most in one of the folds, and all warnings of the splits."""
    reports = [read_json(folder / SPLIT_REPORT) for folder in folders]
    warnings = dict.fromkeys(warning for report in reports for warning in report["warnings"])
    return {
        "patients_in_two_splits": max(report["patients_in_two_splits"] for report in reports),
        "warnings": list(warnings),
    }
