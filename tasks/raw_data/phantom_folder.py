"""Phantoms as files in class folders, with a table of labels: X-rays' stand-ins for a first try.

The same numbers give the same files, and more patients give the former files and further ones: that is how new images
are tried, too.
"""

import csv
import io
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Final

from PIL import Image

from coronet_core.common.classes import CLASSES
from coronet_core.data.image_record import Record
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import write_whole
from tasks.runtime.files import write_rows

SEED: Final = 2020
IMAGES_PER_PATIENT_MAX: Final = 2
SIDE_PX: Final = 128
"""Of the networks; the files are `phantom.OVERSAMPLING` times as large."""
TABLE: Final = "labels.csv"
SOURCE: Final = "phantom"
COLUMNS: Final = ("file", "patient_id", "view", "sex", "age", "source", "licence")


def draw_phantoms(folder: Path, patients: int) -> int:
    """Draw the phantoms of `patients` patients of each class into `folder`; returns the number of images there.

    Files that are there are not drawn again. Raises DataError if `folder` has files that were not drawn here:
    phantoms must not mix with X-rays.
    """
    drawn = {row[0]: row for row in _rows(folder / TABLE) if SOURCE in row}
    _require_own(folder, drawn.keys())
    listing = phantom.records(dict.fromkeys(CLASSES, patients), IMAGES_PER_PATIENT_MAX, SIDE_PX, SEED)
    records = {f"{record.name}.png": record for record in listing.records}
    rows = drawn | {file: [file, *_described(record)] for file, record in records.items()}
    write_rows(folder / TABLE, [COLUMNS, *(rows[file] for file in sorted(rows))])  # first: it says which files are ours
    for file, record in records.items():
        if not (folder / file).exists():
            write_whole(folder / file, partial(_save, record), durable=False)
    return len(rows)


def _save(record: Record, path: Path) -> None:
    with Image.open(io.BytesIO(record.read())) as image:
        image.save(path, format="PNG")


def _described(record: Record) -> list[str]:
    known = (record.patient_id, record.view, record.sex, record.age, record.source, record.licence)
    return ["" if value is None else str(value) for value in known]


def _rows(table: Path) -> list[list[str]]:
    """Return the rows of the table below its head; none without a table."""
    if not table.exists():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def _require_own(folder: Path, drawn: Collection[str]) -> None:
    for path in folder.rglob("*"):
        file = str(path.relative_to(folder))
        is_table = file == TABLE and (drawn or not _rows(path))
        if path.is_file() and not path.name.startswith(".") and file not in drawn and not is_table:
            raise DataError(
                f"{folder}: has files that are no phantoms, such as {file}. Choose another folder with --to."
            )
