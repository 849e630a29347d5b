"""Stage `evaluate`: the CIN on the test split. Predictions, Tables 2 to 5 with intervals, and plots."""

import math
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from coronet_core.classes import CLASSES, DISPLAY_NAMES
from coronet_core.metrics import ConfusionMatrix, confusion_matrix, overall, ppv, sensitivity, wilson_interval
from tasks.cin_data import class_indices, read_residual_index
from tasks.files import write_json, write_whole
from tasks.params import EvaluateParams
from tasks.paths import CONFUSION_PLOT, METRICS, PREDICTIONS, roc_plot
from tasks.prediction import logits_of_split
from tasks.progress import say
from tasks.stage import StageContext, use_cpu_threads

Probabilities = NDArray[np.float64]


def run(context: StageContext) -> None:
    """Predict every test image and write what it comes to."""
    use_cpu_threads(share=1)
    index = read_residual_index()
    index = index[index["split"] == "test"]
    truth = class_indices(index).numpy()
    probabilities = logits_of_split(context, "test").softmax(dim=1).numpy()
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(truth, predicted)
    metrics = _tables(confusion, context.params.evaluate.confidence)
    metrics |= _areas(truth, probabilities, context.params.evaluate)
    metrics["reconstruction_error"] = _reconstruction_errors(index)
    _write_predictions(index, probabilities, predicted)
    _write_plots(truth, predicted, probabilities)
    write_json(METRICS, metrics)
    context.tracking.metrics(_numbers(metrics))
    for path in (METRICS, PREDICTIONS):
        context.tracking.artifact(path)
    say(
        f"accuracy {metrics['accuracy']:.4f}, macro ROC-AUC {metrics['roc_auc']['macro']:.4f}, {len(truth)} test images"
    )


def _tables(confusion: ConfusionMatrix, confidence: float) -> dict[str, Any]:
    """Return Tables 2 to 5, every proportion with its Wilson interval."""
    n_right, n_all = int(confusion.trace()), int(confusion.sum())
    hits = confusion.diagonal()
    columns = {
        "sensitivity": (sensitivity(confusion), confusion.sum(axis=1)),
        "ppv": (ppv(confusion), confusion.sum(axis=0)),
    }
    tables: dict[str, Any] = {
        **asdict(overall(confusion)),
        "accuracy_interval": wilson_interval(n_right, n_all, confidence),
        "images": n_all,
        "confusion_matrix": confusion.tolist(),
    }
    for name, (values, totals) in columns.items():
        tables[name] = {label: None if math.isnan(value) else value for label, value in values.items()}
        tables[f"{name}_interval"] = {
            label: wilson_interval(int(hit), int(total), confidence)
            for label, hit, total in zip(CLASSES, hits, totals, strict=True)
        }
    return tables


def _areas(truth: NDArray[np.int64], probabilities: Probabilities, params: EvaluateParams) -> dict[str, Any]:
    """Return the areas under ROC and precision-recall curves, each class against the rest and their mean."""
    scores = probabilities
    if params.auc_of == "predictions":
        scores = np.eye(len(CLASSES))[probabilities.argmax(axis=1)]
    areas: dict[str, Any] = {}
    for name, area in (("roc_auc", roc_auc_score), ("pr_auc", average_precision_score)):
        by_class = {label: float(area(truth == i, scores[:, i])) for i, label in enumerate(CLASSES)}
        areas[name] = {**by_class, "macro": float(np.mean(list(by_class.values())))}
    return areas


def _reconstruction_errors(index: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the mean |X - F_c| of each autoencoder c over the test images of each class."""
    return {
        f"autoencoder_{autoencoder}": {
            label: float(index.loc[index["label"] == label, f"residual_{autoencoder}"].mean()) for label in CLASSES
        }
        for autoencoder in ("healthy", "pneumonia")
    }


def _write_predictions(index: pd.DataFrame, probabilities: Probabilities, predicted: NDArray[np.int64]) -> None:
    table = index[["image_id", "patient_id", "label"]].reset_index(names="stack_row")
    table["predicted"] = [CLASSES[i] for i in predicted]
    for i, label in enumerate(CLASSES):
        table[f"probability_{label}"] = probabilities[:, i]
    write_whole(PREDICTIONS, partial(table.to_parquet, index=False))


def _write_plots(truth: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: Probabilities) -> None:
    names = [DISPLAY_NAMES[label] for label in CLASSES]
    confusions = pd.DataFrame({"truth": [names[i] for i in truth], "predicted": [names[i] for i in predicted]})
    write_whole(CONFUSION_PLOT, partial(confusions.to_csv, index=False))
    for i, label in enumerate(CLASSES):
        false_positive_rate, true_positive_rate, _ = roc_curve(truth == i, probabilities[:, i])
        curve = pd.DataFrame({"false_positive_rate": false_positive_rate, "sensitivity": true_positive_rate})
        write_whole(roc_plot(label), partial(curve.to_csv, index=False))


def _numbers(metrics: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested metrics under dotted names; lists are for the report, not for MLflow."""
    numbers: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            numbers |= _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            numbers[f"{prefix}{name}"] = float(value)
    return numbers
