"""Tables 2 to 5 of a test set, and areas under the curves, with intervals."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from coronet_core.common.classes import CLASSES
from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.bootstrap import Statistics, bootstrap, estimate
from coronet_core.metrics.confusion import (
    ConfusionMatrix,
    balanced_accuracy,
    cohen_kappa,
    confusion_matrix,
    matthews_correlation,
    overall,
    ppv,
    sensitivity,
    specificity,
)
from coronet_core.metrics.intervals import Interval, percentile_interval, wilson_interval, with_width
from coronet_core.metrics.scores import figures_of
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.runtime.params.schema import EvaluateParams


def tables(test: SplitPredictions, confidence: float) -> dict[str, Any]:
    """Return Tables 2 to 5 and other figures of the confusion matrix, proportions with Wilson intervals."""
    confusion = confusion_matrix(test.truth, test.predicted)
    hits, n = int(confusion.trace()), int(confusion.sum())
    return {
        **asdict(overall(confusion)),
        "accuracy_interval": wilson_interval(hits, n, confidence),
        "images": n,
        "patients": int(test.images["patient_id"].nunique()),
        "confusion_matrix": confusion.tolist(),
        **agreement(confusion),
        **class_proportions(confusion, confidence),
    }


def class_proportions(confusion: ConfusionMatrix, confidence: float) -> dict[str, Any]:
    """Return `sensitivity`, `ppv` and `specificity` by class, each with its Wilson interval as `NAME_interval`."""
    hits, of_class, as_class, n = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0), confusion.sum()
    proportions = {
        "sensitivity": (sensitivity(confusion), hits, of_class),
        "ppv": (ppv(confusion), hits, as_class),
        "specificity": (specificity(confusion), n - of_class - as_class + hits, n - of_class),
    }
    figures: dict[str, Any] = {}
    for name, (values, successes, trials) in proportions.items():
        figures[name] = values
        figures[f"{name}_interval"] = {
            label: wilson_interval(int(successes[i]), int(trials[i]), confidence) for i, label in enumerate(CLASSES)
        }
    return figures


def agreement(confusion: ConfusionMatrix) -> dict[str, float]:
    """Return the figures that a frequent class does not inflate."""
    return {
        "balanced_accuracy": float(balanced_accuracy(confusion)),
        "cohen_kappa": float(cohen_kappa(confusion)),
        "mcc": float(matthews_correlation(confusion)),
    }


def areas_and_intervals(test: SplitPredictions, params: EvaluateParams, seed: int) -> dict[str, Any]:
    """Return `roc_auc` and `pr_auc`, by class and as mean, and bootstrap `intervals` of all figures."""
    figures = figures_of(test.truth, test.predicted, ranking_scores(test, params))
    values = nested(estimate(figures, len(test.truth)))
    return {name: values[name] for name in ("roc_auc", "pr_auc")} | {
        "intervals": nested(patient_intervals(figures, test, params, seed))
    }


def ranking_scores(test: SplitPredictions, params: EvaluateParams) -> Floats:
    """Return the scores (n, 3) for ROC and PR: probabilities or, as in the released code, hard predictions."""
    return test.probabilities() if params.auc_of == "probabilities" else np.eye(len(CLASSES))[test.predicted]


def patient_intervals(
    statistics: Statistics, test: SplitPredictions, params: EvaluateParams, seed: int
) -> dict[str, Interval | None]:
    """Return an interval for each of the `statistics`, by bootstrap over the split's patients.

    None if there are too few patients, or if all replicates are equal.
    """
    drawn = bootstrap(statistics, test.groups, params.bootstrap_replicates, seed)
    return {name: with_width(percentile_interval(values, params.confidence)) for name, values in drawn.items()}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"roc_auc.healthy": x}` as `{"roc_auc": {"healthy": x}}`."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[last] = value
    return tree
