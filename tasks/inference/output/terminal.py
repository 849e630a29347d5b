"""Predictions on a terminal, as a table to read; as plain text where it goes elsewhere."""

import sys
from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from coronet_core.common.classes import DISPLAY_NAMES
from tasks.runtime.external_text import printable

NOTICE: Final = "Probabilities are calibrated on validation images. Research software, not a medical device."
PLAIN_WIDTH: Final = 10_000
"""Columns of what is no terminal: no line is folded."""


def print_predictions(tables: Iterable[pa.Table]) -> None:
    """Print a row a file: the most probable class, all calibrated probabilities, and what to mind."""
    is_terminal = sys.stdout.isatty()
    shown = Table(box=box.SIMPLE_HEAD if is_terminal else None, caption=NOTICE, caption_justify="left")
    shown.add_column("file", overflow="fold")
    shown.add_column("looks like")
    for name in DISPLAY_NAMES.values():
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("mind", overflow="fold")
    for table in tables:
        for row in table.to_pylist():
            shown.add_row(*(Text(cell) for cell in _cells(row)))
    Console(file=sys.stdout, width=None if is_terminal else PLAIN_WIDTH, highlight=False).print(shown)


def _cells(row: dict[str, Any]) -> list[str]:
    path = printable(row["path"])
    if row["error"] is not None:
        return [path, "", *("" for _ in DISPLAY_NAMES), f"no answer: {printable(row['error'])}"]
    notes = []
    if row["abstained"]:
        notes.append(f"left to a person: {row['abstained_because']}")
    if row["out_of_distribution"]:
        notes.append("unlike the validation images")
    shares = (f"{row[f'calibrated_{label}']:.1%}" for label in DISPLAY_NAMES)
    return [path, DISPLAY_NAMES[row["predicted"]], *shares, "; ".join(notes)]
