"""Confusion matrix, ROC and precision-recall curves."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.classes import CLASSES, DISPLAY_NAMES, ClassName
from tasks.reporting.figures.drawing import COLOURS, LINES, SOFT, Drawing, drawn, panel, styled

DARK = 0.5
"""Cells above this share are too dark for black digits."""


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
        + ", ".join(f"{count} as {DISPLAY_NAMES[told]}" for told, count in zip(CLASSES, counts, strict=True))
        for label, counts in zip(CLASSES, matrix.tolist(), strict=True)
    )
    return drawn(figure, f"Confusion matrix. Of each true class, images by prediction. {rows}.")


@styled
def roc_curves(curves: Mapping[ClassName, pd.DataFrame], areas: Mapping[str, float | None]) -> Drawing:
    """Draw the ROC of each class against the rest; `areas` are the areas that the legend tells."""
    figure, axes = panel(3.6, 3.3)
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
    axes.legend(loc="lower right")
    return drawn(figure, f"ROC of each class against the rest: {_all_areas(areas)}.")


@styled
def precision_recall_curves(curves: Mapping[ClassName, pd.DataFrame], areas: Mapping[str, float | None]) -> Drawing:
    """Draw precision over recall of each class against the rest; `areas` are the areas that the legend tells."""
    figure, axes = panel(3.6, 3.3)
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
    axes.legend(loc="lower left")
    return drawn(figure, f"Precision over recall of each class against the rest: {_all_areas(areas)}.")


def _area_text(label: ClassName, area: float | None) -> str:
    return f"{DISPLAY_NAMES[label]}, area " + ("unknown" if area is None else f"{area:.3f}")


def _all_areas(areas: Mapping[str, float | None]) -> str:
    return "; ".join(_area_text(label, areas[label]) for label in CLASSES)
