"""Finished predictions as CSV, JSON Lines or a table on the terminal."""

import csv
import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TextIO

import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from coronet_core.common.classes import DISPLAY_NAMES
from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import write_whole
from tasks.inference.prediction_options import Format
from tasks.package.prediction_schema import SCHEMA
from tasks.runtime.safe_text.spreadsheet import spreadsheet_cell, spreadsheet_path
from tasks.runtime.safe_text.terminal import printable

NOTICE: Final = "Probabilities are calibrated on validation images. Research software, not a medical device."
PLAIN_WIDTH: Final = 10_000
"""Width when the output is not a terminal: lines are not wrapped."""


def write_file(path: Path, form: Format, tables: Iterable[pa.Table]) -> None:
    """Write rows as CSV or JSON Lines to `path`, atomically."""

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            WRITERS[form](tables, file)

    write_whole(path, write)


def print_rows(form: Format, tables: Iterable[pa.Table]) -> None:
    """Write rows as CSV or JSON Lines to standard output. The reader may close the pipe early."""
    try:
        WRITERS[form](tables, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's flush at exit


def format_of(path: Path) -> Format:
    """Return the format by the suffix of a file or folder. Raises DataError for any other suffix."""
    for one in (Format.CSV, Format.JSONL, Format.PARQUET):
        if path.suffix.lower() == f".{one}":
            return one
    raise DataError(
        f"--out {path}: unknown format. Use a name that ends in .csv, .jsonl or .parquet, or give --format."
    )


def write_csv(tables: Iterable[pa.Table], file: TextIO) -> None:
    """Write rows as CSV with a header. Sets are joined by spaces; null is an empty cell.

    A path that a spreadsheet would take for a formula is written as `./=name`, which is the same file. Any other such
    text gets a leading apostrophe.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(SCHEMA.names)
    for table in tables:
        writer.writerows([safe_cell(name, value) for name, value in row.items()] for row in table.to_pylist())


def write_jsonl(tables: Iterable[pa.Table], file: TextIO) -> None:
    """Write rows as JSON objects, one per line."""
    for table in tables:
        rows = ({name: _json(value) for name, value in row.items()} for row in table.to_pylist())
        file.writelines(f"{json.dumps(row, allow_nan=False)}\n" for row in rows)


WRITERS: Final[dict[Format, Callable[[Iterable[pa.Table], TextIO], None]]] = {
    Format.CSV: write_csv,
    Format.JSONL: write_jsonl,
}


def safe_cell(column: str, value: Any) -> Any:
    """Return a value for CSV that a spreadsheet does not take for a formula."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return " ".join(value)
        case str() if column == "path":
            return spreadsheet_path(value)
        case str():
            return spreadsheet_cell(value)
    return value


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_predictions(tables: Iterable[pa.Table]) -> None:
    """Print a row per file: the most probable class, all calibrated probabilities, and notes."""
    is_terminal = sys.stdout.isatty()
    shown = Table(box=box.SIMPLE_HEAD if is_terminal else None, caption=NOTICE, caption_justify="left")
    shown.add_column("file", overflow="fold")
    shown.add_column("predicted")
    for name in DISPLAY_NAMES.values():
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("notes", overflow="fold")
    for table in tables:
        for row in table.to_pylist():
            shown.add_row(*(Text(cell) for cell in _cells(row)))
    Console(file=sys.stdout, width=None if is_terminal else PLAIN_WIDTH, highlight=False).print(shown)


def _cells(row: dict[str, Any]) -> list[str]:
    path = printable(row["path"])
    if row["error"] is not None:
        return [path, "", *("" for _ in DISPLAY_NAMES), f"no prediction: {printable(row['error'])}"]
    notes = []
    if row["abstained"]:
        notes.append(f"needs a human reader: {row['abstained_because']}")
    if row["out_of_distribution"]:
        notes.append("out of distribution")
    shares = (f"{row[f'calibrated_{label}']:.1%}" for label in DISPLAY_NAMES)
    return [path, DISPLAY_NAMES[row["predicted"]], *shares, "; ".join(notes)]
