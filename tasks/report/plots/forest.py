"""Values with their intervals, one below the other: subgroups, folds, differences between networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, Final

from matplotlib.ticker import MaxNLocator

from tasks.report.plots.drawing import ACCENT, INK, SOFT, Drawing, drawn, panel, styled
from tasks.report.wording import words

INCHES_PER_ROW: Final = 0.27
INCHES_PER_LINE: Final = 0.17
INCHES_AROUND: Final = 0.9
NAME_CHARACTERS: Final = 34
"""Longer names are wrapped, so that the plot keeps its room and no name is cut off."""


@dataclass(frozen=True)
class ForestRow:
    """A line of the figure."""

    name: str
    value: float | None
    interval: Sequence[float] | None
    is_faint: bool = False
    """Drawn in grey: too few images for a reliable value."""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}: unknown"
        interval = "" if self.interval is None else f" ({self.interval[0]:.3f} to {self.interval[1]:.3f})"
        return f"{self.name}: {self.value:.3f}{interval}"


@styled
def forest(title: str, rows: Sequence[ForestRow], axis: str, reference: float, reference_name: str) -> Drawing:
    """Draw `rows` from top to bottom with a vertical line at `reference`."""
    names = [fill(row.name, NAME_CHARACTERS) for row in rows]
    lines = max((name.count("\n") + 1 for name in names), default=1)
    figure, axes = panel(4.8, INCHES_AROUND + max(INCHES_PER_ROW, INCHES_PER_LINE * lines) * len(rows))
    axes.axvline(reference, color=SOFT, linewidth=0.9, linestyle=":")
    for place, row in enumerate(rows):
        colour = SOFT if row.is_faint else ACCENT
        if row.interval is not None:
            axes.plot(row.interval, [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
        if row.value is not None:
            axes.plot([row.value], [place], color=colour, marker="o", markersize=5, fillstyle=_fill(row))
    axes.set_yticks(range(len(rows)), names)
    axes.set(title=title, xlabel=axis, ylim=(len(rows) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return drawn(
        figure,
        f"{title}: {axis}, value and interval. {'; '.join(map(str, rows))}. "
        f"The dotted line is {reference_name}, {reference:.3f}.",
    )


def _fill(row: ForestRow) -> str:
    return "none" if row.is_faint else "full"


def subgroup_accuracies(subgroups: dict[str, dict[str, dict[str, Any]]], overall: float | None) -> Drawing:
    """Draw the accuracy of each group beside that of all images. `subgroups` is that part of `reports/metrics.json`."""
    rows = [
        ForestRow(
            name=f"{words(grouping)}: {name} ({figures['images']})",
            value=figures["accuracy"],
            interval=figures["accuracy_interval"],
            is_faint=figures["is_small"],
        )
        for grouping, groups in subgroups.items()
        for name, figures in groups.items()
    ]
    return forest("Accuracy by group (images)", rows, "accuracy", overall or 0.0, "all images")


@styled
def fold_dots(values: Mapping[str, Sequence[float | None]], means: Mapping[str, float | None]) -> Drawing:
    """Draw the value of each fold as a dot and their mean as a line, a row for each name in `values`."""
    figure, axes = panel(4.8, 0.9 + 0.36 * len(values))
    described = []
    for place, (name, of_folds) in enumerate(values.items()):
        known = [value for value in of_folds if value is not None]
        axes.plot(known, [place] * len(known), "o", color=ACCENT, alpha=0.55, markersize=6, markeredgewidth=0)
        mean = means[name]
        text = "unknown" if mean is None else f"{mean:.3f}"
        if mean is not None:
            axes.plot([mean, mean], [place - 0.3, place + 0.3], color=INK, linewidth=1.6)
        span = f", folds from {min(known):.3f} to {max(known):.3f}" if known else ""
        described.append(f"{name}: mean {text}{span}")
    axes.set_yticks(range(len(values)), list(values))
    axes.set(ylim=(len(values) - 0.5, -0.5), xlabel="dots: folds; line: their mean")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return drawn(figure, f"Values of {max(map(len, values.values()))} folds. {'; '.join(described)}.")
