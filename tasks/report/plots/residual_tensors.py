"""Images, what the autoencoders make of them, and what they miss: the authors' figure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import DISPLAY_NAMES, ClassName
from tasks.report.plots.drawing import Drawing, drawn, picture_grid, styled

TITLES = ("X", "F_H(X)", "F_P(X)", "|X − F_H|, eq. (5)", "|X − F_P|, eq. (6)", "|2X − F_H − F_P|, eq. (7)")
BRIGHTEST_QUANTILE = 0.995
"""Of all residuals: what is larger is shown as bright as this."""


@styled
def reconstructions(
    labels: Sequence[ClassName], pictures: NDArray[np.float32], residuals: NDArray[np.float32]
) -> Drawing:
    """Draw an image of each class in `labels`, what both autoencoders make of it, and the three residual channels.

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
        f"three channels, of 1: {'; '.join(described)}.",
        trimmed=True,
    )
