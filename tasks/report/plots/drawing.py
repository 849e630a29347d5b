"""A figure as the report embeds it, and the style of all figures."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType
from PIL import Image

from coronet_core.common.classes import ClassName
from tasks.report.alternative_text import ALT_KEY

COLOURS: Final[Mapping[ClassName, str]] = {"healthy": "#0072b2", "pneumonia": "#d98200", "covid19": "#a3195b"}
LINES: Final[Mapping[ClassName, str]] = {"healthy": "-", "pneumonia": "--", "covid19": "-."}
"""Colours that colour-blind readers can distinguish, and line styles for black-and-white prints."""
INK: Final = "#1d2430"
SOFT: Final = "#6b7585"
ACCENT: Final = "#1f6aa5"
PIXELS_PER_INCH: Final = 170
CSS_PIXELS_PER_INCH: Final = 100
Layout = Literal["constrained", "compressed"]
STYLE: Final[dict[RcKeyType, Any]] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "grid.color": "#e4e8ee",
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
}
styled = mpl.rc_context(STYLE)
"""Decorator that applies the style while a function draws."""


@dataclass(frozen=True)
class Drawing:
    """A figure as the report embeds it."""

    png: bytes
    alt: str
    """Alternative text: what the figure shows, numbers included."""
    width_px: int
    """Display width where there is room for it, in CSS pixels."""
    height_px: int

    @property
    def data_uri(self) -> str:
        """The PNG as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def panel(width_inches: float, height_inches: float, layout: Layout = "constrained") -> tuple[Figure, Axes]:
    """Return a figure and its only axes. Axes that show a picture need the `compressed` layout."""
    figure = Figure(figsize=(width_inches, height_inches), layout=layout)
    return figure, figure.subplots()


def picture_grid(width_inches: float, height_inches: float, rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure and its axes for pictures, by row and column: without ticks and frames."""
    figure = Figure(figsize=(width_inches, height_inches), layout="compressed")
    grid: list[list[Axes]] = figure.subplots(rows, columns, squeeze=False).tolist()
    for axes in (axes for row in grid for axes in row):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure, grid


def legend_below(figure: Figure, columns: int = 1) -> None:
    """Put the legend of the first axes below a `constrained` figure, where it covers no data."""
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def drawn(figure: Figure, alt: str, *, trimmed: bool = False) -> Drawing:
    """Return `figure` as a PNG with its alternative text. The same figure gives the same bytes.

    `trimmed` crops the empty space that images leave around them, as they keep their aspect ratio.
    """
    buffer = io.BytesIO()
    box = "tight" if trimmed else None
    figure.savefig(buffer, format="png", dpi=PIXELS_PER_INCH, metadata={ALT_KEY: alt}, bbox_inches=box, pad_inches=0.04)
    with Image.open(buffer) as image:
        width_px, height_px = (round(side * CSS_PIXELS_PER_INCH / PIXELS_PER_INCH) for side in image.size)
    return Drawing(buffer.getvalue(), alt, width_px, height_px)
