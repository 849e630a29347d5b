"""Attribution maps (Figure 2 of the paper), and their deletion and insertion curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from coronet_core.common.classes import DISPLAY_NAMES, ClassName
from tasks.report.plots.drawing import INK, SOFT, Drawing, drawn, legend_below, picture_grid, styled
from tasks.runtime.params.explain import METHOD_NAMES

MAP_NAMES: Final = {**METHOD_NAMES, "random": "random maps", "centre": "centre map"}
METHOD_COLOURS: Final = {
    "perturbation": "#0072b2",
    "occlusion": "#d98200",
    "integrated_gradients": "#a3195b",
    "grad_cam": "#1d6b43",
    "random": SOFT,
    "centre": INK,
}
CONTROLS: Final = ("random", "centre")
"""Baseline maps that do not depend on the network."""
FULL_QUANTILE: Final = 0.995
"""Quantile of a map's salience that gets the brightest colour."""
OVERLAY: Final = 0.55
"""Opacity of a map over its image."""


@dataclass(frozen=True)
class Explained:
    """An explained image: truth, prediction and boxes."""

    label: ClassName | None
    """The true class, None if unknown."""
    predicted: ClassName
    probability: float
    """Of the predicted class."""
    boxes: Sequence[Sequence[float]]
    """Around opacities: left, top, right and bottom as fractions of the sides."""

    def __str__(self) -> str:
        n = len(self.boxes)
        boxes = f", {n} {'box' if n == 1 else 'boxes'}" if n else ""
        truth = "X-ray" if self.label is None else DISPLAY_NAMES[self.label]
        return f"{truth} predicted as {self.prediction}{boxes}"

    @property
    def prediction(self) -> str:
        """The predicted class with its probability, as text."""
        return f"{DISPLAY_NAMES[self.predicted]}, {self.probability:.2f}"


@styled
def attribution_maps(
    images: NDArray[np.uint8], maps: Mapping[str, NDArray[np.float32]], explained: Sequence[Explained]
) -> Drawing:
    """Draw each explained image beside itself under its map by each method, with boxes around known opacities.

    `images` are (n, H, W) in [0, 255], `maps` by method (n, H, W), at least 0; `explained` describes each image. Each
    map is scaled by its own most salient pixels, as methods have no common unit.
    """
    n, columns = len(explained), 1 + len(maps)
    figure, grid = picture_grid(1.75 * columns + 0.8, 0.35 + 1.95 * n, n, columns)
    for place, (row, one) in enumerate(zip(grid, explained, strict=True)):
        for axes in row:
            axes.imshow(images[place], cmap="gray", vmin=0, vmax=255)
            _draw_boxes(axes, one.boxes, images.shape[1:])
        for axes, salience in zip(row[1:], maps.values(), strict=True):
            relative = relative_salience(salience[place])
            shown = axes.imshow(relative, cmap="viridis", vmin=0, vmax=1, alpha=OVERLAY)
        if one.label is not None:
            row[0].set_ylabel(DISPLAY_NAMES[one.label], fontsize=8)
        row[0].set_xlabel(f"predicted: {one.prediction}", fontsize=7)
    for axes, title in zip(grid[0], ("X-ray", *(MAP_NAMES[name] for name in maps)), strict=True):
        axes.set_title(title, fontsize=8, fontweight="normal")
    bar = figure.colorbar(shown, ax=[row[-1] for row in grid], fraction=0.05, aspect=30, label="salience", extend="max")
    bar.set_ticks([0, 1], labels=["least", "most"])
    return drawn(
        figure,
        f"X-rays and their maps by {', '.join(MAP_NAMES[name] for name in maps)}; truth and prediction with its "
        f"probability: {'; '.join(map(str, explained))}.",
        trimmed=True,
    )


def relative_salience(salience: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a map (H, W), at least 0, by its own most salient pixels, as methods have no common unit."""
    return salience / (float(np.quantile(salience, FULL_QUANTILE)) or 1)


@styled
def deletion_and_insertion(
    curves: Mapping[str, Mapping[str, Sequence[float]]], measures: Mapping[str, Mapping[str, Any]]
) -> Drawing:
    """Draw the mean probability of the explained class while salient pixels are removed (deletion) or restored.

    `curves` and `measures` are by method, those of `reports/explanations.json`.
    """
    figure = Figure(figsize=(7.4, 3.3), layout="constrained")
    described = []
    for axes, name in zip(figure.subplots(1, 2, sharey=True), ("deletion", "insertion"), strict=True):
        for method, both in curves.items():
            steps = np.linspace(0, 1, len(both[name]))
            line = "--" if method in CONTROLS else "-"
            axes.plot(steps, both[name], label=MAP_NAMES[method], color=METHOD_COLOURS[method], linestyle=line)
        areas = ", ".join(f"{MAP_NAMES[method]} {measures[method][f'{name}_auc']:.3f}" for method in curves)
        described.append(f"area under {name}: {areas}")
        changed = "removed" if name == "deletion" else "restored"
        axes.set(title=name.capitalize(), xlabel=f"share of the pixels {changed}", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(axis="y")
    figure.axes[0].set_ylabel("probability of the class")
    legend_below(figure, 3)
    return drawn(figure, f"Probability of the explained class by method; {'; '.join(described)}.")


def _draw_boxes(axes: Axes, boxes: Sequence[Sequence[float]], size: tuple[int, ...]) -> None:
    """Draw `boxes`: left, top, right and bottom as fractions of the sides."""
    height, width = size
    for left, top, right, bottom in boxes:
        corner = (left * width - 0.5, top * height - 0.5)
        sides = ((right - left) * width, (bottom - top) * height)
        axes.add_patch(Rectangle(corner, *sides, fill=False, edgecolor="#ffffff", linewidth=1.2))
        axes.add_patch(Rectangle(corner, *sides, fill=False, edgecolor="#d0021b", linewidth=0.7, linestyle="--"))
