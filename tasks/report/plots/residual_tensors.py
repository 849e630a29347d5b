"""Images as the networks see them: reconstructions, residual tensors, and the audit's masked views."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.audits.masking import VIEW_NAMES, View
from coronet_core.common.classes import DISPLAY_NAMES, ClassName
from tasks.report.plots.drawing import Drawing, drawn, picture_grid, styled

RESIDUAL_NAMES: Final = ("|X − F_H|", "|X − F_P|", "|2X − F_H − F_P|")
"""The channels of the residual tensor, eq. (5) to (7)."""
TITLES = ("X", "F_H(X)", "F_P(X)", *(f"{name}, eq. ({number})" for number, name in enumerate(RESIDUAL_NAMES, start=5)))
BRIGHTEST_QUANTILE = 0.995
"""Quantile of the residuals that gets the brightest colour."""


@styled
def reconstructions(
    labels: Sequence[ClassName], pictures: NDArray[np.float32], residuals: NDArray[np.float32]
) -> Drawing:
    """Draw an image of each class in `labels`, its reconstructions by both autoencoders and the residual channels.

    `pictures` are (class, [X, F_H(X), F_P(X)], H, W) in [0, 1], `residuals` (class, channel, H, W).
    """
    figure, grid = picture_grid(9.6, 0.4 + 1.5 * len(labels), len(labels), len(TITLES))
    brightest = float(np.quantile(residuals, BRIGHTEST_QUANTILE))
    described = []
    for row, label, three, channels in zip(grid, labels, pictures, residuals, strict=True):
        for axes, picture in zip(row[:3], three, strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        for axes, channel in zip(row[3:], channels, strict=True):
            shown = axes.imshow(channel, cmap="magma", vmin=0, vmax=brightest)
        row[0].set_ylabel(DISPLAY_NAMES[label], fontsize=8)
        means = ", ".join(f"{mean:.3f}" for mean in channels.mean(axis=(1, 2)))
        described.append(f"{DISPLAY_NAMES[label]} {means}")
    for axes, title in zip(grid[0], TITLES, strict=True):
        axes.set_title(title, fontsize=8, fontweight="normal")
    figure.colorbar(shown, ax=[row[-1] for row in grid], shrink=0.8, label="residual", extend="max")
    return drawn(
        figure,
        "One test image of each class, its reconstructions by both autoencoders, and its residual tensor. Mean of the "
        f"three channels, full scale 1: {'; '.join(described)}.",
        trimmed=True,
    )


@styled
def masked_views(
    labels: Sequence[ClassName],
    pictures: Mapping[View, NDArray[np.float32]],
    balanced_accuracy: Mapping[View, float | None],
) -> Drawing:
    """Draw an image of each class in `labels` in every view, with the network's balanced accuracy on that view.

    `pictures` are by view (class, H, W) in [0, 1].
    """
    figure, grid = picture_grid(7.6, 0.6 + 1.85 * len(labels), len(labels), len(pictures))
    shown = {view: "unknown" if score is None else f"{score:.3f}" for view, score in balanced_accuracy.items()}
    for column, (view, stack) in enumerate(pictures.items()):
        for row, picture in zip(grid, stack, strict=True):
            row[column].imshow(picture, cmap="gray", vmin=0, vmax=1)
        title = f"{VIEW_NAMES[view]}\nbalanced accuracy {shown[view]}"
        grid[0][column].set_title(title, fontsize=8, fontweight="normal")
    for row, label in zip(grid, labels, strict=True):
        row[0].set_ylabel(DISPLAY_NAMES[label], fontsize=8)
    scores = ", ".join(f"{VIEW_NAMES[view]} {shown[view]}" for view in pictures)
    names = ", ".join(DISPLAY_NAMES[label] for label in labels)
    alt = f"A test image of {names} each in four views; balanced accuracy of the network: {scores}."
    return drawn(figure, alt, trimmed=True)
