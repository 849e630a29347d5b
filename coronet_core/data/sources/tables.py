"""Tables of labels as their publishers and spreadsheets wrote them, read as text."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from coronet_core.data.fields import PADDING
from coronet_core.data.text_files import SAVE_AS, read_text
from coronet_core.support.errors import DataError

DELIMITERS: Final = ",;\t|"
DECLARED: Final = "sep="
"""How Excel's first line names the delimiter."""


def read_table(path: Path, columns: list[str], *, remedy: str) -> list[dict[str, Any]]:
    """Read a table (a .gz too) with at least `columns`; returns its rows, every value text without outer blanks.

    Commas, semicolons, tabs or bars separate values: what separates `columns` in the first line. Rows without any
    value are passed over. Column names lose outer blanks and capitals, and inner blanks become underscores:
    `Patientid`, ` url` and `clinical notes` are what later versions of a table call patientid, url and
    clinical_notes. `remedy` says where the table comes from. Raises DataError when the file is missing, no text,
    empty, lacks a column, or has a row of more values than columns.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such table. {remedy}")
    text, _ = read_text(path)
    text = text.removeprefix("\ufeff")
    first, _, rest = text.partition("\n")
    if first.strip().strip('"').lower().startswith(DECLARED):
        text = rest
    if not text.strip():
        raise DataError(f"{path}: an empty table. {remedy}")
    lines = _lines(path, text, _delimiter(text, columns))
    _, header = next(lines)
    names = _names(header)
    if missing := [column for column in columns if column not in names]:
        found = ", ".join(name for name in names if name)
        raise DataError(f"{path}: no column {' or '.join(missing)} (found: {found}). {remedy}")
    if doubled := next((name for name in names if name and names.count(name) > 1), None):
        raise DataError(f"{path}: has the column {doubled} more than once. Rename or delete one of them.")
    rows: list[dict[str, Any]] = []
    for number, values in lines:
        stripped = [value.strip(PADDING) for value in values]
        if any(stripped[len(names) :]):
            raise DataError(
                f"{path}, line {number}: {len(values)} values for {len(names)} columns. Put a value that holds the "
                "delimiter into quotation marks, or delete what is too much."
            )
        if any(stripped):
            filled = [*stripped, *[""] * (len(names) - len(stripped))]
            rows.append({name: value for name, value in zip(names, filled, strict=False) if name})
    return rows


def _delimiter(text: str, columns: list[str]) -> str:
    """Return what separates `columns` in the first line, or else most names."""
    header = next(line for line in text.splitlines() if line.strip())
    found = {one: _names(next(csv.reader([header], delimiter=one))) for one in DELIMITERS}
    return max(DELIMITERS, key=lambda one: (len(set(columns) & set(found[one])), len(found[one])))


def _names(header: list[str]) -> list[str]:
    return [re.sub(r"[ .-]", "_", name.strip(PADDING).lower()) for name in header]


def _lines(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the values of each line that has some, with the line's number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for values in reader:
            if values:
                yield reader.line_num, values
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not a readable CSV ({error}). {SAVE_AS}") from error
