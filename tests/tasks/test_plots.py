"""The report's figures: each says its numbers in words, also where something is missing."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from coronet_core.common.classes import CLASSES
from tasks.report.plots.attribution_maps import Explained, attribution_maps, deletion_and_insertion
from tasks.report.plots.classification import confusion, precision_recall_curves, reliability_diagram, roc_curves
from tasks.report.plots.drawing import Drawing
from tasks.report.plots.forest import ForestRow, fold_dots, forest, subgroup_accuracies
from tasks.report.plots.learning_curves import training_curves
from tasks.report.plots.residual_tensors import masked_views, reconstructions

RNG = np.random.default_rng(0)
HISTORY = pd.DataFrame({"epoch": [1, 2, 3], "training_loss": [3.0, 2.0, 1.0], "validation_loss": [3.0, 1.5, 2.0]})
BINS = [
    {"low": 0.0, "high": 0.5, "images": 0, "confidence": None, "accuracy": None},
    {"low": 0.5, "high": 1.0, "images": 7, "confidence": 0.9, "accuracy": 0.6},
]
CALIBRATION = {"before": {"ece": 0.3}, "after": {"ece": 0.1}, "reliability": {"before": BINS, "after": BINS}}
POINTS = {
    "roc": pd.DataFrame({"false_positive_rate": [0.0, 0.0, 1.0], "sensitivity": [0.0, 1.0, 1.0]}),
    "pr": pd.DataFrame({"recall": [0.5, 1.0], "precision": [1.0, 0.5]}),
}


def test_training_names_the_epoch_whose_weights_are_kept() -> None:
    drawing = training_curves("AE_H", HISTORY, "validation_loss")
    assert "weights of epoch 2 are kept, chosen by validation loss: training loss 2, validation loss 1.5" in drawing.alt


def test_confusion_is_told_row_by_row() -> None:
    drawing = confusion(np.array([[8, 1, 0], [0, 5, 2], [0, 0, 0]]))
    assert "Healthy: 8 as Healthy, 1 as non-COVID Pneumonia, 0 as COVID-19;" in drawing.alt


def test_a_class_without_a_curve_has_an_unknown_area() -> None:
    points = POINTS["roc"]
    curves = {"healthy": points, "pneumonia": points, "covid19": points.head(0)}
    drawing = roc_curves(curves, {"healthy": 1.0, "pneumonia": 0.875, "covid19": None})  # type: ignore[arg-type]
    assert drawing.alt.endswith("Healthy, area 1.000; non-COVID Pneumonia, area 0.875; COVID-19, area unknown.")


def test_precision_and_recall_tell_their_areas() -> None:
    drawing = precision_recall_curves(dict.fromkeys(CLASSES, POINTS["pr"]), dict.fromkeys(CLASSES, 0.75))
    assert drawing.alt.count("area 0.750") == 3


def test_reconstructions_of_the_classes_that_have_images() -> None:
    pictures = RNG.random((1, 3, 16, 16), dtype=np.float32)
    residuals = np.stack([np.full((16, 16), mean, np.float32) for mean in (0.1, 0.2, 0.3)])[None]
    drawing = reconstructions(["pneumonia"], pictures, residuals)
    assert drawing.alt.endswith("non-COVID Pneumonia 0.100, 0.200, 0.300.")


def test_reliability_tells_errors_and_counts_before_and_after() -> None:
    drawing = reliability_diagram(CALIBRATION)
    assert "uncalibrated, ECE 0.300: confidence 0.90, accuracy 0.60, 7 images" in drawing.alt
    assert "calibrated, ECE 0.100" in drawing.alt


def test_subgroups_are_told_with_interval_and_number_of_images() -> None:
    groups = {"view": {"AP": {"images": 12, "accuracy": 0.5, "accuracy_interval": [0.25, 0.75], "is_small": True}}}
    drawing = subgroup_accuracies(groups, 0.8)
    assert "projection: AP (12): 0.500 (0.250 to 0.750)" in drawing.alt
    assert "The dotted line is all images, 0.800." in drawing.alt


def test_masked_views_tell_the_balanced_accuracy_of_each() -> None:
    pictures = {"as_is": np.zeros((1, 8, 8), np.float32), "only_border": np.ones((1, 8, 8), np.float32)}
    drawing = masked_views(["covid19"], pictures, {"as_is": 0.8, "only_border": None})  # type: ignore[arg-type]
    assert "A test image of COVID-19" in drawing.alt
    assert drawing.alt.endswith("whole image 0.800, border only unknown.")


def test_maps_tell_truth_prediction_probability_and_boxes() -> None:
    images = np.zeros((2, 8, 8), np.uint8)
    maps = {"perturbation": RNG.random((2, 8, 8), dtype=np.float32), "grad_cam": np.zeros((2, 8, 8), np.float32)}
    explained = [
        Explained("pneumonia", "healthy", 0.512, [[0.1, 0.1, 0.5, 0.5]]),
        Explained("covid19", "covid19", 0.9, []),
    ]
    alt = attribution_maps(images, maps, explained).alt
    assert "by Meaningful perturbation, Grad-CAM;" in alt
    assert alt.endswith("non-COVID Pneumonia predicted as Healthy, 0.51, 1 box; COVID-19 predicted as COVID-19, 0.90.")


def test_deletion_and_insertion_tell_the_areas_by_method() -> None:
    curves = {method: {"deletion": [1.0, 0.0], "insertion": [0.0, 1.0]} for method in ("perturbation", "random")}
    measures = {
        "perturbation": {"deletion_auc": 0.25, "insertion_auc": 0.75},
        "random": {"deletion_auc": 0.5, "insertion_auc": 0.5},
    }
    alt = deletion_and_insertion(curves, measures).alt
    assert "area under deletion: Meaningful perturbation 0.250, random maps 0.500" in alt
    assert "area under insertion: Meaningful perturbation 0.750, random maps 0.500" in alt


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (ForestRow("a", 0.5, (0.4, 0.6)), "a: 0.500 (0.400 to 0.600)"),
        (ForestRow("b", 0.5, None), "b: 0.500."),
        (ForestRow("c", None, None), "c: unknown"),
    ],
)
def test_a_forest_tells_each_row(row: ForestRow, told: str) -> None:
    assert told in forest("Accuracy", [row], "accuracy", 0.0, "nothing").alt


def test_long_names_make_the_figure_higher_and_are_not_cut_off() -> None:
    short, long = (
        Image.open(BytesIO(forest("Accuracy", [ForestRow(name, 0.5, None)] * 9, "accuracy", 0.0, "nothing").png))
        for name in (
            "image",
            "the same on the residual tensor, by as many networks, with three members of each and averaged flips",
        )
    )
    assert long.width == short.width
    assert long.height > short.height
    assert np.asarray(long.convert("L"))[:, :4].min() == 255  # nothing reaches the left edge


def test_folds_are_told_by_mean_and_span_of_those_that_are_known() -> None:
    alt = fold_dots(
        {"Accuracy": [0.5, None, 0.7], "Macro ROC-AUC": [None] * 3}, {"Accuracy": 0.6, "Macro ROC-AUC": None}
    ).alt
    assert alt == "Values of 3 folds. Accuracy: mean 0.600, folds from 0.500 to 0.700; Macro ROC-AUC: mean unknown."


@pytest.mark.parametrize(
    "draw",
    [
        lambda: roc_curves(dict.fromkeys(CLASSES, POINTS["roc"]), dict.fromkeys(CLASSES, 0.9)),
        lambda: precision_recall_curves(dict.fromkeys(CLASSES, POINTS["pr"]), dict.fromkeys(CLASSES, 0.9)),
        lambda: reliability_diagram(CALIBRATION),
        lambda: training_curves("CIN", HISTORY, "validation_loss"),
    ],
)
def test_a_legend_covers_no_data(draw: Callable[[], Drawing], monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    save = Figure.savefig

    def keep_and_save(figure: Figure, *arguments: Any, **options: Any) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep_and_save)
    draw()
    (figure,) = figures
    (legend,) = figure.legends
    assert all(axes.get_legend() is None for axes in figure.axes)
    assert not any(legend.get_window_extent().overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_the_same_figure_gives_the_same_bytes() -> None:
    one, other = (confusion(np.eye(3, dtype=np.int64)) for _ in range(2))
    assert one.png == other.png
