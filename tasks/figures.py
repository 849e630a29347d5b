"""Figures of the report. Each function draws one and returns it with the text that stands for it."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from coronet_core.classes import CLASSES, DISPLAY_NAMES, ClassName
from coronet_core.training.loop import best_epoch

mpl.use("Agg")

COLOURS: dict[ClassName, str] = {"healthy": "#3b7d4f", "pneumonia": "#c77d1f", "covid19": "#a8324a"}
DARK = 0.5
"""Cells above this share are too dark for black digits."""
RESIDUAL_NAMES = ("|X − F_H|  eq. (5)", "|X − F_P|  eq. (6)", "|2X − F_H − F_P|  eq. (7)")


@dataclass(frozen=True)
class Drawing:
    """A figure as the report embeds it."""

    data_uri: str
    """PNG as a data URI."""
    alt: str


def training_curves(histories: Mapping[str, tuple[pd.DataFrame, str]]) -> Drawing:
    """Draw the losses of each network by epoch, the chosen epoch marked.

    `histories` holds, by name, a network's epochs and the column by which its best epoch was chosen.
    """
    figure = Figure(figsize=(3.6 * len(histories), 3.0), layout="constrained")
    described = []
    for axes, (name, (history, best_by)) in zip(figure.subplots(1, len(histories)), histories.items(), strict=True):
        best = best_epoch([float(value) for value in history[best_by]], best_by)
        axes.plot(history["epoch"], history["training_loss"], label="training", color="#444444")
        axes.plot(history["epoch"], history["validation_loss"], label="validation", color="#2a6fb0")
        axes.axvline(best, color="#2a6fb0", linewidth=0.8, linestyle=":")
        axes.set(title=name, xlabel="epoch", ylabel="loss", yscale="log")
        axes.legend(frameon=False, fontsize=8)
        described.append(f"{name}: epoch {best}, chosen by {best_by.replace('_', ' ')}")
    return _drawing(figure, "Training and validation loss by epoch. Weights kept, " + "; ".join(described) + ".")


def confusion(matrix: NDArray[np.int64]) -> Drawing:
    """Draw Table 5, shaded by the share of each true class."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [DISPLAY_NAMES[label] for label in CLASSES]
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        colour = "white" if shares[row, column] > DARK else "black"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="predicted", ylabel="truth")
    return _drawing(figure, f"Confusion matrix, rows truth, columns prediction: {matrix.tolist()}.")


def roc_curves(curves: Mapping[ClassName, pd.DataFrame]) -> Drawing:
    """Draw the ROC of each class against the rest."""
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes = figure.subplots()
    described = []
    for label, curve in curves.items():
        if curve.empty:
            continue  # no test image of the class, or of any other
        area = float(np.trapezoid(curve["sensitivity"], curve["false_positive_rate"]))
        text = f"{DISPLAY_NAMES[label]}, area {area:.3f}"
        described.append(text)
        axes.plot(curve["false_positive_rate"], curve["sensitivity"], label=text, color=COLOURS[label])
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return _drawing(figure, "ROC of each class against the rest: " + "; ".join(described) + ".")


def reconstructions(
    labels: Sequence[ClassName], pictures: NDArray[np.float32], residuals: NDArray[np.float32]
) -> Drawing:
    """Draw an image of each class in `labels`, what both autoencoders make of it, and the three residual channels.

    `pictures` are (class, [X, F_H(X), F_P(X)], H, W) in [0, 1], `residuals` (class, channel, H, W).
    """
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    grid = figure.subplots(len(labels), 6, squeeze=False)
    brightest = float(np.quantile(residuals, 0.995))
    for row, label in enumerate(labels):
        for axes, picture in zip(grid[row][:3], pictures[row], strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        for axes, picture in zip(grid[row][3:], residuals[row], strict=True):
            shown = axes.imshow(picture, cmap="magma", vmin=0, vmax=brightest)
        grid[row][0].set_ylabel(DISPLAY_NAMES[label], fontsize=8)
    for axes, title in zip(grid[0], ("X", "F_H(X)", "F_P(X)", *RESIDUAL_NAMES), strict=True):
        axes.set_title(title, fontsize=8)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=grid[:, -1], shrink=0.8)
    return _drawing(
        figure, "One test image of each class, its reconstructions by both autoencoders, and its residual tensor."
    )


def attribution_maps(images: NDArray[np.uint8], maps: NDArray[np.float32], index: pd.DataFrame) -> Drawing:
    """Draw each explained image beside itself under its map (Figure 2 of the paper), both (n, H, W).

    `images` are in [0, 255], `maps` in [0, 1].
    """
    figure = Figure(figsize=(4.4, 2.1 * len(index)), layout="constrained")
    grid = figure.subplots(len(index), 2, squeeze=False)
    for row, explained in enumerate(index.itertuples()):
        grid[row][0].imshow(images[row], cmap="gray", vmin=0, vmax=255)
        grid[row][1].imshow(images[row], cmap="gray", vmin=0, vmax=255)
        shown = grid[row][1].imshow(maps[row], cmap="viridis", vmin=0, vmax=1, alpha=0.55)
        grid[row][0].set_ylabel(f"truth: {explained.label}", fontsize=8)
        grid[row][1].set_title(f"predicted: {explained.predicted}", fontsize=8)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=grid[:, -1], shrink=0.8, label="salience")
    described = "; ".join(f"{one.label} predicted as {one.predicted}" for one in index.itertuples())
    return _drawing(figure, f"X-rays and their attribution maps: {described}.")


def _drawing(figure: Figure, alt: str) -> Drawing:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return Drawing("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(), alt)
