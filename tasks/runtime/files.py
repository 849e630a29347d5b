"""Files that are whole or not there."""

import csv
import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coronet_core.support.checksums import (
    PLACEHOLDER,
    damaged_file,
    missing_file,
    require_intact_content,
    write_checksum,
)
from coronet_core.support.whole_files import flush, put_in_place, write_whole
from tasks.runtime.safe_text.spreadsheet import spreadsheet_cell

if TYPE_CHECKING:
    import pandas as pd

CHECKSUM: Final = "checksum"
"""Key of the checksum in JSON files."""


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole."""
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_report(path: Path, value: dict[str, Any]) -> None:
    """Write the out of a stage as `write_json` does, with a checksum as its last entry.

    It is in a list, which DVC and MLflow do not take for a figure.
    """
    text = json.dumps({**value, CHECKSUM: [PLACEHOLDER.decode()]}, indent=2, allow_nan=False) + "\n"

    def write(partial: Path) -> None:
        partial.write_text(text, encoding="utf-8")
        write_checksum(partial)

    write_whole(path, write)


def read_json(path: Path, remedy: str | None = None) -> dict[str, Any]:
    """Read a JSON object, its checksum left out.

    Raises DamagedFileError, which ends in `remedy`, if the file is missing or damaged.
    """
    if not path.is_file():
        raise missing_file(path, remedy)
    return json_object(path.read_bytes(), path, remedy)


def json_object(content: bytes, name: Path | str, remedy: str | None = None) -> dict[str, Any]:
    """Return the JSON object in the content of the file `name` as `read_json` does."""
    require_intact_content(content, name, remedy)
    try:
        value = json.loads(content)
    except ValueError as error:  # JSON's and Unicode's
        raise damaged_file(name, "not JSON", remedy) from error
    if not isinstance(value, dict):
        raise damaged_file(name, "not a JSON object", remedy)
    return {key: entry for key, entry in value.items() if key != CHECKSUM}


def read_numbers(path: Path, columns: Sequence[str]) -> "pd.DataFrame":
    """Read a CSV file of numbers that has these `columns`. Raises DamagedFileError if it is missing or damaged."""
    import pandas as pd  # late: it takes half a second, and most who need this module do without

    if not path.is_file():
        raise missing_file(path)
    try:
        table = pd.read_csv(path, dtype=float)
    except ValueError as error:  # of pandas, Unicode and words in place of numbers
        raise damaged_file(path, "not a table of numbers") from error
    if absent := sorted(set(columns) - set(table)):
        raise damaged_file(path, f"has no column {absent[0]}")
    return table


def nulls_for_nan(value: Any) -> Any:
    """Return nested dicts and lists with None where they have NaN: what is undefined, as JSON says it."""
    if isinstance(value, dict):
        return {key: nulls_for_nan(nested) for key, nested in value.items()}
    if isinstance(value, list | tuple):
        return [nulls_for_nan(nested) for nested in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_rows(path: Path, rows: Iterable[Sequence[str | None]], *, is_private: bool = False) -> None:
    """Write `rows` of text as CSV, whole: a table for a person, of which a spreadsheet computes no cell.

    A table that `is_private` is for its owner alone.
    """

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([None if cell is None else spreadsheet_cell(cell) for cell in row] for row in rows)

    write_whole(path, write, is_private=is_private)


def publish_folder(finished: Path, target: Path, aside: Path) -> None:
    """Move the folder `finished` to `target`; what is there waits in `aside` until that is done."""
    flush(finished)  # now, so that there is no target for a moment only
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(aside, ignore_errors=True)
        target.replace(aside)
    put_in_place(finished, target)
    shutil.rmtree(aside, ignore_errors=True)


def digest(*parts: object) -> str:
    """Return a digest of `parts`: of a Path the file's bytes, of anything else its repr."""
    total = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else repr(part).encode()
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()
