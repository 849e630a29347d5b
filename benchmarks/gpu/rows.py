"""What a measurement finds."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Figure = float | str | bool


class NotMeasuredError(Exception):
    """Why something cannot be measured here."""


@dataclass(frozen=True)
class Row:
    """One line of the table: figures, or the reason why there are none."""

    measurement: str
    name: str
    """Unique in a run."""
    figures: dict[str, Figure] = field(default_factory=dict)
    """By name; a name ends with its unit."""
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON takes them."""
        fields = {"measurement": self.measurement, "name": self.name, **self.figures}
        return fields | {"not_measured": self.reason} if self.reason else fields

    def __str__(self) -> str:
        """Return the line."""
        figures = "  ".join(f"{_shown(value)} {name.replace('_', ' ')}" for name, value in self.figures.items())
        return f"{self.measurement:14} {self.name:44} {figures or 'not measured: ' + self.reason}"


def figure_of(rows: Iterable[Row], name: str, figure: str) -> float | None:
    """Return a figure of the row called `name`; None if it was not measured."""
    found = (row.figures.get(figure) for row in rows if row.name == name)
    return next((float(value) for value in found if isinstance(value, int | float)), None)


def _shown(value: Figure) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
