"""All figures of labelled images with a trained network: those of the test split, and of images from elsewhere."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from tasks.calibrate.calibration_file import Calibration
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.own_class_margin import own_class_margin
from tasks.evaluate.reliability import (
    abstention_figures,
    calibration_figures,
    disagreement_figures,
    operating_points,
    out_of_distribution_figures,
)
from tasks.evaluate.subgroups import subgroups
from tasks.evaluate.tables import areas_and_intervals, tables
from tasks.runtime.params.schema import EvaluateParams
from tasks.runtime.tracking.stage_run import numbers_of

NOT_FOR_MLFLOW: Final = ("subgroups",)
"""Their names come from the data and may have characters that MLflow does not accept."""


def logged_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of `metrics` that MLflow takes."""
    return numbers_of({name: metrics[name] for name in metrics if name not in NOT_FOR_MLFLOW})


def all_figures(test: SplitPredictions, calibration: Calibration, params: EvaluateParams, seed: int) -> dict[str, Any]:
    """Return the content of `reports/metrics.json` but for its warnings, NaN where a figure is undefined.

    The calibration is applied as it is: nothing is fitted on these images.
    """
    return {
        **tables(test, params.confidence),
        **areas_and_intervals(test, params, seed),
        "operating_points": operating_points(test, calibration, params, seed),
        "calibration": calibration_figures(test, calibration),
        "abstention": abstention_figures(test, calibration, params.confidence),
        "disagreement": disagreement_figures(test, params, seed),
        "out_of_distribution": out_of_distribution_figures(test, calibration, params.confidence),
        "reconstruction_error": _reconstruction_errors(test.images),
        "own_class_margin": own_class_margin(test, params, seed),
        "subgroups": subgroups(test, params),
    }


def class_warnings(test: SplitPredictions, image: str, remedy: str) -> list[str]:
    """Return sentences on classes without images, and what is undefined without them.

    `image` is what one of them is called, such as `test image`; `remedy` is a sentence.
    """
    there = set(test.images["label"])
    sentences = [
        f"No {image} of {DISPLAY_NAMES[label]}: its sensitivity, ROC-AUC and PR-AUC are undefined, and means over "
        f"classes leave it out. {remedy}"
        for label in CLASSES
        if label not in there
    ]
    if len(there) == 1:
        sentences.append(f"All {image}s are of one class: ROC-AUC and PR-AUC are undefined.")
    return sentences


def _reconstruction_errors(images: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the mean |X - F_c| of each autoencoder c over the images of each class."""
    return {
        f"autoencoder_{autoencoder}": {
            label: float(images.loc[images["label"] == label, f"residual_{autoencoder}"].mean()) for label in CLASSES
        }
        for autoencoder in ("healthy", "pneumonia")
    }
