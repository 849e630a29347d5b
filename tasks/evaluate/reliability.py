"""Reliability on the test split: operating points, calibration, abstention and out-of-distribution images."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES
from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.auc import Ranking, roc_auc, sensitivity_at
from coronet_core.metrics.bootstrap import estimate
from coronet_core.metrics.calibration import calibration_errors, reliability
from coronet_core.metrics.conformal import abstention, prediction_sets
from coronet_core.metrics.intervals import Proportion
from coronet_core.metrics.out_of_distribution import ood_score
from tasks.calibrate.calibration_file import Calibration
from tasks.calibrate.split_predictions import DISAGREEMENT, SplitPredictions
from tasks.evaluate.tables import patient_intervals
from tasks.runtime.params.schema import EvaluateParams

COVID19 = CLASSES.index("covid19")
MAX_NAMED = 10
"""Out-of-distribution images listed in the metrics; the prediction table has the score of every image."""


def operating_points(
    test: SplitPredictions, calibration: Calibration, params: EvaluateParams, seed: int
) -> dict[str, Any]:
    """Return the sensitivity for COVID-19 at chosen specificities, and the figures at the validation split's threshold.

    At a specificity, the threshold is chosen on the test ROC: the best possible. The validation threshold is as in use.
    """
    is_covid, score = test.truth == COVID19, test.probabilities()[:, COVID19]
    ranking = Ranking.of(score, is_covid)

    def sensitivities(weights: Floats) -> dict[str, Floats]:
        return {f"{at:g}": sensitivity_at(ranking, weights, at) for at in params.specificities}

    intervals = patient_intervals(sensitivities, test, params, seed)
    values = estimate(sensitivities, len(score))
    at_specificity = {at: {"sensitivity": values[at], "sensitivity_interval": intervals[at]} for at in values}
    return {
        "at_specificity": at_specificity,
        "at_validation_threshold": {
            "sensitivity_floor": calibration.sensitivity_floor,
            **_at_threshold(score, is_covid, calibration.covid19_threshold, params.confidence),
        },
    }


def _at_threshold(
    score: Floats, is_covid: NDArray[np.bool_], threshold: float | None, confidence: float
) -> dict[str, Any]:
    if threshold is None:  # no validation image of COVID-19
        reached = spared = Proportion(None, None, 0)
    else:
        reached = Proportion.of(score[is_covid] >= threshold, confidence)
        spared = Proportion.of(score[~is_covid] < threshold, confidence)
    return {
        "threshold": threshold,
        "sensitivity": reached.share,
        "sensitivity_interval": reached.interval,
        "specificity": spared.share,
        "specificity_interval": spared.interval,
    }


def calibration_figures(test: SplitPredictions, calibration: Calibration) -> dict[str, Any]:
    """Return the calibration errors at temperature 1 and at the temperature fitted on the validation split."""
    sides = {"before": 1.0, "after": calibration.temperature}
    return {
        "temperature": calibration.temperature,
        **{name: asdict(calibration_errors(test.logits, test.truth, t)) for name, t in sides.items()},
        "reliability": {
            name: [asdict(one) for one in reliability(test.probabilities(t), test.truth)] for name, t in sides.items()
        },
    }


def abstention_figures(test: SplitPredictions, calibration: Calibration, confidence: float) -> dict[str, Any]:
    """Return the coverage of the prediction sets, the abstentions, and the accuracy on the other images."""
    sets = prediction_sets(test.probabilities(calibration.temperature), calibration.quantile)
    return {
        "miscoverage": calibration.miscoverage,
        "conformal_quantile": calibration.conformal_quantile,
        **asdict(abstention(sets, test.truth, confidence)),
    }


def disagreement_figures(test: SplitPredictions, params: EvaluateParams, seed: int) -> dict[str, Any]:
    """Return whether the CIN's networks differ more where they are wrong: the ROC-AUC of errors against right answers.

    Beside it that of the predicted class's probability. NaN where the CIN is one network, and without errors or right
    answers.
    """
    is_wrong = test.predicted != test.truth
    differing = test.images[DISAGREEMENT].to_numpy(np.float64)
    if np.isnan(differing).any() or is_wrong.all() or not is_wrong.any():
        return {"roc_auc": math.nan, "roc_auc_interval": None, "roc_auc_of_probability": math.nan}
    by_networks, by_probability = (
        Ranking.of(doubt, is_wrong) for doubt in (differing, -test.probabilities().max(axis=1))
    )

    def areas(weights: Floats) -> dict[str, Floats]:
        return {
            "roc_auc": roc_auc(by_networks, weights),
            "roc_auc_of_probability": roc_auc(by_probability, weights),
        }

    intervals = patient_intervals(areas, test, params, seed)
    return {**estimate(areas, len(differing)), "roc_auc_interval": intervals["roc_auc"]}


def out_of_distribution_figures(test: SplitPredictions, calibration: Calibration, confidence: float) -> dict[str, Any]:
    """Return the share of out-of-distribution images, overall and by class, and list the most distant ones.

    These should be inspected: some may not be chest X-rays.
    """
    reference = calibration.energies
    scores = ood_score(test.energies, reference)
    is_far = scores > reference.threshold
    furthest = [place for place in np.argsort(-scores, kind="stable")[:MAX_NAMED] if is_far[place]]
    return {
        "threshold": reference.threshold,
        "percentile": reference.percentile,
        "all": asdict(Proportion.of(is_far, confidence)),
        "by_class": {
            label: asdict(Proportion.of(is_far[test.truth == i], confidence)) for i, label in enumerate(CLASSES)
        },
        "furthest": [
            {
                "image_id": test.images["image_id"].iloc[place],
                "label": CLASSES[test.truth[place]],
                "predicted": CLASSES[test.predicted[place]],
                "score": float(scores[place]),
            }
            for place in furthest
        ],
    }
