"""Stage `evaluate`: predictions for the test split, Tables 2 to 5 with intervals, and plots."""

import pandas as pd

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from coronet_core.common.seeds import derive_seed
from coronet_core.support.tables import write_frame
from tasks.calibrate.calibration_file import read_calibration
from tasks.calibrate.cin_outputs import predict_split
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.curves import write_curves
from tasks.evaluate.own_class_margin import own_class_margin
from tasks.evaluate.prediction_table import prediction_table
from tasks.evaluate.reliability import (
    abstention_figures,
    calibration_figures,
    operating_points,
    out_of_distribution_figures,
)
from tasks.evaluate.subgroups import subgroups
from tasks.evaluate.tables import areas_and_intervals, tables
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import nulls_for_nan, write_report
from tasks.runtime.paths import METRICS, PREDICTIONS
from tasks.runtime.progress import log
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import numbers_of

NOT_FOR_MLFLOW = ("subgroups",)
"""Their names come from the data and may have characters that MLflow does not accept."""


def run(context: StageContext) -> None:
    """Predict every test image; write predictions, metrics and plots."""
    use_cpu_threads(share=1)
    params, seed = context.params.evaluate, derive_seed(context.params.seed, "evaluate")
    calibration = read_calibration()
    test = predict_split(context, "test")
    metrics = nulls_for_nan(
        {
            **tables(test, params.confidence),
            **areas_and_intervals(test, params, seed),
            "operating_points": operating_points(test, calibration, params, seed),
            "calibration": calibration_figures(test, calibration),
            "abstention": abstention_figures(test, calibration, params.confidence),
            "out_of_distribution": out_of_distribution_figures(test, calibration, params.confidence),
            "reconstruction_error": _reconstruction_errors(test.images),
            "own_class_margin": own_class_margin(test, params, seed),
            "subgroups": subgroups(test, params),
            "warnings": [*_warnings(test), *calibration.warnings],
        }
    )
    write_frame(prediction_table(test, calibration), PREDICTIONS)
    write_curves(test, calibration.temperature, params)
    write_report(METRICS, metrics)
    context.tracking.metrics(numbers_of({name: metrics[name] for name in metrics if name not in NOT_FOR_MLFLOW}))
    for path in (METRICS, PREDICTIONS):
        context.tracking.artifact(path)
    for warning in metrics["warnings"]:
        log(f"warning: {warning}")
    area = metrics["roc_auc"]["macro"]
    shown = "undefined" if area is None else f"{area:.4f}"
    log(f"accuracy {metrics['accuracy']:.4f}, macro ROC-AUC {shown}, {metrics['images']} test images")


def _reconstruction_errors(images: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the mean |X - F_c| of each autoencoder c over the test images of each class."""
    return {
        f"autoencoder_{autoencoder}": {
            label: float(images.loc[images["label"] == label, f"residual_{autoencoder}"].mean()) for label in CLASSES
        }
        for autoencoder in ("healthy", "pneumonia")
    }


def _warnings(test: SplitPredictions) -> list[str]:
    there = set(test.images["label"])
    sentences = [
        f"No test image of {DISPLAY_NAMES[label]}: its sensitivity, ROC-AUC and PR-AUC are undefined, and means over "
        "classes leave it out. Raise data.split.test_fraction or add images of it."
        for label in CLASSES
        if label not in there
    ]
    if len(there) == 1:
        sentences.append("All test images are of one class: ROC-AUC and PR-AUC are undefined.")
    return sentences
