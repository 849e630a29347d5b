"""Tables of labels as their publishers wrote them, read as text."""

from pathlib import Path
from typing import Any

import pandas as pd

from coronet_core.errors import DataError


def read_table(path: Path, columns: list[str], *, remedy: str) -> list[dict[str, Any]]:
    """Read a CSV (a .gz too) with at least `columns`; returns its rows, every value text without outer blanks.

    Column names lose outer blanks and capitals, and inner blanks become underscores: `Patientid`, ` url` and
    `clinical notes` are what later versions of a table call patientid, url and clinical_notes. `remedy` says where
    the table comes from. Raises DataError when the file is missing, no CSV, or lacks a column.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such table. {remedy}")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False).map(str.strip)
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors, and so are bad encodings
        reason = str(error).strip()
        raise DataError(f"{path}: not a readable CSV ({reason}). Save it as UTF-8 with commas.") from error
    table.columns = [name.strip().lower().replace(" ", "_") for name in table.columns]
    if missing := [column for column in columns if column not in table]:
        found = ", ".join(table.columns)
        raise DataError(f"{path}: no column {' or '.join(missing)} (found: {found}). {remedy}")
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]  # its keys are the columns
    return rows


def years(text: str | None) -> float | None:
    """Return an age in years, or None for anything that is not a number: publishers write `50s` and `adult` too."""
    try:
        return float(text) if text else None
    except ValueError:
        return None
