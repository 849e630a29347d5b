"""Files that are whole or not there."""

import csv
import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from coronet_core.support.whole_files import flush, put_in_place, write_whole
from tasks.runtime.external_text import spreadsheet_cell


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole."""
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


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
