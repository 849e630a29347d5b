"""The figures of a test set by source, view, sex and age."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES
from coronet_core.common.manifest import groupings
from coronet_core.metrics.bootstrap import estimate
from coronet_core.metrics.confusion import balanced_accuracy, confusion_matrix
from coronet_core.metrics.intervals import wilson_interval
from coronet_core.metrics.scores import figures_of
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.tables import class_proportions, ranking_scores
from tasks.runtime.params.schema import EvaluateParams


def subgroups(test: SplitPredictions, params: EvaluateParams) -> dict[str, dict[str, dict[str, Any]]]:
    """Return figures by grouping and group: `{"view": {"AP": {...}}}`. Missing values form a group.

    An overall average can hide a group with bad figures.
    """
    scores = ranking_scores(test, params)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for grouping, groups in groupings(test.images).items():
        members = {name: (groups == name).to_numpy() for name in sorted(groups.unique())}
        found[grouping] = {name: _group_figures(test, scores, inside, params) for name, inside in members.items()}
    return found


def _group_figures(
    test: SplitPredictions, scores: NDArray[np.float64], inside: NDArray[np.bool_], params: EvaluateParams
) -> dict[str, Any]:
    truth, predicted = test.truth[inside], test.predicted[inside]
    confusion = confusion_matrix(truth, predicted)
    of_class, hits, n = confusion.sum(axis=1), int(confusion.trace()), len(truth)
    return {
        "images": n,
        "patients": int(test.images.loc[inside, "patient_id"].nunique()),
        "by_class": {label: int(of_class[i]) for i, label in enumerate(CLASSES)},
        "accuracy": hits / n,
        "accuracy_interval": wilson_interval(hits, n, params.confidence),
        "balanced_accuracy": float(balanced_accuracy(confusion)),
        **class_proportions(confusion, params.confidence),
        "roc_auc_macro": estimate(figures_of(truth, predicted, scores[inside]), n)["roc_auc.macro"],
        "is_small": n < params.small_group_images,
    }
