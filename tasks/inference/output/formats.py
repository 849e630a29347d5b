"""Finished predictions as CSV and JSON Lines, written table by table: as many rows as there are, in bounded memory."""

import csv
import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TextIO

import pyarrow as pa

from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import write_whole
from tasks.inference.prediction_options import Format
from tasks.package.prediction_schema import SCHEMA
from tasks.runtime.external_text import spreadsheet_cell


def write_file(path: Path, form: Format, tables: Iterable[pa.Table]) -> None:
    """Write rows as CSV or JSON Lines to `path`, whole or not at all."""

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            WRITERS[form](tables, file)

    write_whole(path, write)


def print_rows(form: Format, tables: Iterable[pa.Table]) -> None:
    """Write rows as CSV or JSON Lines to standard output. Who reads it there may stop when it has enough."""
    try:
        WRITERS[form](tables, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python flushes at its end


def format_of(path: Path) -> Format:
    """Return the format that the name of a file or folder asks for. Raises DataError if it asks for none."""
    for one in (Format.CSV, Format.JSONL, Format.PARQUET):
        if path.suffix.lower() == f".{one}":
            return one
    raise DataError(f"--out {path}: a name that says no format. End it in .csv, .jsonl or .parquet, or give --format.")


def write_csv(tables: Iterable[pa.Table], file: TextIO) -> None:
    """Write rows as CSV with a header. Sets are joined by spaces; what is null is empty.

    A path that a spreadsheet would take for a formula is written as `./=name`: the same file. Before any other such
    text comes an apostrophe.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(SCHEMA.names)
    for table in tables:
        writer.writerows([safe_cell(name, value) for name, value in row.items()] for row in table.to_pylist())


def write_jsonl(tables: Iterable[pa.Table], file: TextIO) -> None:
    """Write rows as JSON objects, one a line."""
    for table in tables:
        rows = ({name: _json(value) for name, value in row.items()} for row in table.to_pylist())
        file.writelines(f"{json.dumps(row, allow_nan=False)}\n" for row in rows)


WRITERS: Final[dict[Format, Callable[[Iterable[pa.Table], TextIO], None]]] = {
    Format.CSV: write_csv,
    Format.JSONL: write_jsonl,
}


def safe_cell(column: str, value: Any) -> Any:
    """Return a value as CSV holds it and a spreadsheet does not compute it."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return " ".join(value)
        case str() if column == "path":
            return value if spreadsheet_cell(value) == value else f"./{value}"
        case str():
            return spreadsheet_cell(value)
    return value


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
