"""What the shortcut audit shows to the network."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.audits.masking import View
from coronet_core.common.classes import DISPLAY_NAMES, ClassName
from tasks.report.plots.drawing import Drawing, drawn, picture_grid, styled

VIEW_NAMES: Final[Mapping[View, str]] = {
    "as_is": "as it is",
    "lungs_masked": "lungs masked",
    "only_border": "only the border",
    "borders_and_text_masked": "borders and text masked",
}


@styled
def masked_views(
    labels: Sequence[ClassName],
    pictures: Mapping[View, NDArray[np.float32]],
    balanced_accuracy: Mapping[View, float | None],
) -> Drawing:
    """Draw an image of each class in `labels` as every view shows it, over what the network scores on that view.

    `pictures` are by view (class, H, W) in [0, 1].
    """
    figure, grid = picture_grid(7.6, 0.6 + 1.85 * len(labels), len(labels), len(pictures))
    told = {view: "not known" if score is None else f"{score:.3f}" for view, score in balanced_accuracy.items()}
    for column, (view, stack) in enumerate(pictures.items()):
        for row, picture in zip(grid, stack, strict=True):
            row[column].imshow(picture, cmap="gray", vmin=0, vmax=1)
        title = f"{VIEW_NAMES[view]}\nbalanced accuracy {told[view]}"
        grid[0][column].set_title(title, fontsize=8, fontweight="normal")
    for row, label in zip(grid, labels, strict=True):
        row[0].set_ylabel(DISPLAY_NAMES[label], fontsize=8)
    scores = ", ".join(f"{VIEW_NAMES[view]} {told[view]}" for view in pictures)
    names = ", ".join(DISPLAY_NAMES[label] for label in labels)
    alt = f"A test image of {names} each in four views; balanced accuracy of the network: {scores}."
    return drawn(figure, alt, trimmed=True)
