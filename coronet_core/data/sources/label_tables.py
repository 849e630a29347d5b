"""Tables of labels as publishers and spreadsheets write them, and the image files that they name."""

import csv
import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from coronet_core.data.fields import PADDING
from coronet_core.data.file_names import relative_path
from coronet_core.data.text_files import SAVE_AS, read_text
from coronet_core.support.errors import DataError

DELIMITERS: Final = ",;\t|"
DECLARED: Final = "sep="
"""How Excel's first line names the delimiter."""
MAX_NAMED: Final = 3


def read_table(path: Path, columns: list[str], *, remedy: str) -> list[dict[str, Any]]:
    """Read a table (a .gz too) with at least `columns`; returns its rows, every value text without outer blanks.

    Commas, semicolons, tabs or bars separate values: what separates `columns` in the first line. Rows without any
    value are ignored. Column names lose outer blanks and capitals, and inner blanks become underscores:
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
                "delimiter into quotation marks, or delete the surplus values."
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


def listed_files(table: Path, folder: Path, names: list[str], files: Iterable[str]) -> list[str]:
    """Return the path below `folder` of each of `names`; `files` are the paths below it that are there.

    Backslashes may separate folders, and letters with accents may be composed or not: as the files are named on disk
    counts. Raises DataError for a name that is none, leads out, does not exist or is there twice.
    """
    there = set(files)
    by_letters = {_composed(file): file for file in sorted(there)}
    found = [_on_disk(table, name, there, by_letters) for name in names]
    missing = [name for name, file in zip(names, found, strict=True) if file is None]
    if missing:
        more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        raise DataError(
            f"{table}: names files that do not exist: {', '.join(missing[:MAX_NAMED])}{more}."
            f"{_hint(table, missing[0], there)} Put them under {folder}, or delete their rows."
        )
    known = [file for file in found if file is not None]
    doubled = [file for file, n in Counter(known).items() if n > 1]
    if doubled:
        raise DataError(f"{table}: lists {doubled[0]} more than once. Delete the surplus rows.")
    return known


def _on_disk(table: Path, name: str, there: Collection[str], by_letters: Mapping[str, str]) -> str | None:
    if not name:
        raise DataError(f"{table}: has a row without a file. Name the image's path in the column file, or delete it.")
    for text in (name, name.replace("\\", "/")):
        path = relative_path(os.path.normpath(text), f"{table}: file")  # a/b.png and ./a/b.png are one image
        if path in there:
            return path
        if (other := by_letters.get(_composed(path))) is not None:
            return other
    return None


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _hint(table: Path, name: str, there: Collection[str]) -> str:
    """Return what may be wrong with a name that no file has."""
    last = _composed(name).replace("\\", "/").rsplit("/", 1)[-1].casefold()
    same = next((file for file in sorted(there) if _composed(file).rsplit("/", 1)[-1].casefold() == last), None)
    if same is not None:
        return f" Did you mean {same}? Paths are relative to the folder."
    if not name.isascii() and read_text(table)[1] == "cp1252":
        return " The table was read as Windows-1252: save it as CSV in UTF-8 if letters look wrong."
    return ""
