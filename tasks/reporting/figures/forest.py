"""Values with their intervals, one below the other: subgroups, and differences between networks."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from tasks.reporting.figures.drawing import ACCENT, SOFT, Drawing, drawn, panel, styled

INCHES_PER_ROW = 0.27
INCHES_AROUND = 0.9


@dataclass(frozen=True)
class ForestRow:
    """A line of the figure."""

    name: str
    value: float | None
    interval: Sequence[float] | None
    is_faint: bool = False
    """Drawn soft: too few images to say much."""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}: not known"
        interval = "" if self.interval is None else f" ({self.interval[0]:.3f} to {self.interval[1]:.3f})"
        return f"{self.name}: {self.value:.3f}{interval}"


@styled
def forest(title: str, rows: Sequence[ForestRow], axis: str, reference: float, reference_name: str) -> Drawing:
    """Draw `rows` from top to bottom against the line `reference`."""
    figure, axes = panel(4.8, INCHES_AROUND + INCHES_PER_ROW * len(rows))
    axes.axvline(reference, color=SOFT, linewidth=0.9, linestyle=":")
    for place, row in enumerate(rows):
        colour = SOFT if row.is_faint else ACCENT
        if row.interval is not None:
            axes.plot(row.interval, [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
        if row.value is not None:
            axes.plot([row.value], [place], color=colour, marker="o", markersize=5, fillstyle=_fill(row))
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
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
