"""Files that are whole or not there."""

import csv
import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tasks.external_text import spreadsheet_cell

Arrays = dict[str, NDArray[Any]]
FULL_BELOW_BYTES: Final = 1 << 16
"""A disk with less room is full: the library that failed to write may not say why."""


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in place in one step.

    Raises OSError with ENOSPC when `write` fails and the disk is full, whatever it raises: torch and NumPy tell
    positions and counts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        write(partial)
        partial.replace(path)
    except Exception as error:
        if disk_is_full(path.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def disk_is_full(folder: Path) -> bool:
    """Whether nothing more can be written into `folder`."""
    return shutil.disk_usage(folder).free < FULL_BELOW_BYTES


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


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write `array` as an NPY file, whole."""

    def save(partial: Path) -> None:
        with partial.open("wb") as file:  # np.save would add a suffix to the name
            np.save(file, array)

    write_whole(path, save)


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write named `arrays` as an NPZ file, whole."""

    def save(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    write_whole(path, save)


def write_rows(path: Path, rows: Iterable[Sequence[str | None]]) -> None:
    """Write `rows` of text as CSV, whole: a table for a person, of which a spreadsheet computes no cell."""

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([None if cell is None else spreadsheet_cell(cell) for cell in row] for row in rows)

    write_whole(path, write)


def read_arrays(path: Path) -> Arrays:
    """Read the arrays of an NPZ file."""
    with np.load(path) as file:
        return dict(file)


def publish_folder(finished: Path, target: Path, aside: Path) -> None:
    """Move the folder `finished` to `target`; what is there waits in `aside` until that is done."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(aside, ignore_errors=True)
        target.replace(aside)
    finished.replace(target)
    shutil.rmtree(aside, ignore_errors=True)


def digest(*parts: object) -> str:
    """Return a digest of `parts`: of a Path the file's bytes, of anything else its repr."""
    total = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else repr(part).encode()
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()
