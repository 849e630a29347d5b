"""Confusion matrix, ROC and precision-recall curves, reliability diagram."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES, ClassName
from coronet_core.support.plurals import counted
from tasks.report.plots.drawing import ACCENT, COLOURS, LINES, SOFT, Drawing, drawn, legend_below, panel, styled

SIDES = (
    ("before", "uncalibrated", SOFT, "s", "none"),
    ("after", "calibrated", ACCENT, "o", "full"),
)
"""Key, name, colour, marker and its fill of the probabilities before and after temperature scaling."""
DARK = 0.5
"""Cells above this share are too dark for black digits."""


@styled
def reliability_diagram(calibration: dict[str, Any]) -> Drawing:
    """Draw accuracy over confidence before and after calibration, and below the number of images by confidence.

    `calibration` is that part of `reports/metrics.json`.
    """
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    described = []
    for key, name, colour, marker, fill in SIDES:
        bins = [one for one in calibration["reliability"][key] if one["images"]]
        confidence, accuracy = ([one[of] for one in bins] for of in ("confidence", "accuracy"))
        error = f"ECE {calibration[key]['ece']:.3f}"
        upper.plot(confidence, accuracy, color=colour, marker=marker, fillstyle=fill, label=f"{name}, {error}")
        edges = [one["low"] for one in calibration["reliability"][key]] + [1.0]
        counts = [one["images"] for one in calibration["reliability"][key]]
        lower.stairs(counts, edges, color=colour, linewidth=1.4)
        points = ", ".join(
            f"confidence {one['confidence']:.2f}, accuracy {one['accuracy']:.2f}, {counted(one['images'], 'image')}"
            for one in bins
        )
        described.append(f"{name}, {error}: {points}")
    upper.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), title="Reliability")
    lower.set(xlabel="probability of the predicted class", ylabel="images")
    legend_below(figure, 2)
    return drawn(figure, f"Accuracy over confidence, in bins. {'. '.join(described)}.")


@styled
def confusion(matrix: NDArray[np.int64]) -> Drawing:
    """Draw Table 5, shaded by the share of each true class."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [DISPLAY_NAMES[label].replace(" ", "\n") for label in CLASSES]
    figure, axes = panel(3.6, 3.3, "compressed")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        colour = "white" if shares[row, column] > DARK else "black"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour, fontsize=11)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted", ylabel="truth", title="Confusion matrix")
    rows = "; ".join(
        f"{DISPLAY_NAMES[label]}: "
        + ", ".join(f"{count} as {DISPLAY_NAMES[predicted]}" for predicted, count in zip(CLASSES, counts, strict=True))
        for label, counts in zip(CLASSES, matrix.tolist(), strict=True)
    )
    return drawn(figure, f"Confusion matrix: images of each true class by prediction. {rows}.")


@styled
def roc_curves(curves: Mapping[ClassName, pd.DataFrame], areas: Mapping[str, float | None]) -> Drawing:
    """Draw the ROC of each class against the rest; `areas` under the curves go into the legend."""
    figure, axes = panel(3.6, 3.9)
    for label, curve in curves.items():
        axes.plot(
            curve["false_positive_rate"],
            curve["sensitivity"],
            label=_area_text(label, areas[label]),
            color=COLOURS[label],
            linestyle=LINES[label],
        )
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01), title="ROC")
    legend_below(figure)
    return drawn(figure, f"ROC of each class against the rest: {_all_areas(areas)}.")


@styled
def precision_recall_curves(curves: Mapping[ClassName, pd.DataFrame], areas: Mapping[str, float | None]) -> Drawing:
    """Draw precision over recall of each class against the rest; `areas` under the curves go into the legend."""
    figure, axes = panel(3.6, 3.9)
    for label, curve in curves.items():
        axes.plot(
            curve["recall"],
            curve["precision"],
            label=_area_text(label, areas[label]),
            color=COLOURS[label],
            linestyle=LINES[label],
        )
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (PPV)", xlim=(0, 1), ylim=(0, 1.01))
    axes.set_title("Precision and recall")
    legend_below(figure)
    return drawn(figure, f"Precision over recall of each class against the rest: {_all_areas(areas)}.")


def _area_text(label: ClassName, area: float | None) -> str:
    return f"{DISPLAY_NAMES[label]}, area " + ("unknown" if area is None else f"{area:.3f}")


def _all_areas(areas: Mapping[str, float | None]) -> str:
    return "; ".join(_area_text(label, areas[label]) for label in CLASSES)
