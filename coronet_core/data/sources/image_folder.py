"""Source `image_folder`: class folders of image files, with an optional labels CSV.

Without a CSV, the class is the folder's name (`healthy/`, `pneumonia/`, `covid19/`, at any depth). With one, the CSV
lists the images: column `file` (relative to the folder) is required; `label`, `patient_id`, `view`, `sex`, `age`,
`source` and `licence` are read if they are there; other columns are passed over.
"""

import os
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from coronet_core.classes import CLASSES, ClassName
from coronet_core.data.file_names import relative_path
from coronet_core.data.image_files import beginning_of, find_images, is_companion, without_masks
from coronet_core.data.record import Listing, Record, file_version
from coronet_core.data.sources.tables import read_table
from coronet_core.errors import DataError

MAX_NAMED = 3
NOT_LISTED = "image that the labels CSV does not list"


def records(root: Path, name: str, labels_csv: str | None, patient_id_pattern: str | None) -> Listing:
    """List the images of the folder `name` in `root`, sorted by name.

    `patient_id_pattern` is a regular expression whose first group is the patient in the file name; it serves images
    whose CSV has no `patient_id`. Without either, DICOM headers tell, and any other image is a patient of its own.
    What is passed over is counted by reason: files that are no images, or that the CSV does not list, masks beside
    images, hidden files and those of systems (`coronet_core.data.image_files`), be they in the CSV or not.

    Raises DataError for a missing folder or CSV, a link to a folder, a row without a file or a known label.
    """
    folder = root / name
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder. Put the images there, or set data.root to where they are.")
    _refuse_links(folder)
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    found = find_images((file for file in files if file != labels_csv), lambda file: beginning_of(folder / file))
    if labels_csv is None:
        rows: list[dict[str, Any]] = [{"file": file} for file in found.names]
    else:
        rows = _without_others(_rows_of_csv(folder, labels_csv))
        found.passed_over[NOT_LISTED] = len(set(found.names) - {row["file"] for row in rows})
    rows.sort(key=lambda row: str(row["file"]))
    records = [_record(root, name, row, patient_id_pattern) for row in rows]
    return Listing(records=records, passed_over=+found.passed_over)


def _without_others(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the rows of masks and hidden files: a CSV made of all that a folder holds lists them, too."""
    images, _ = without_masks([row["file"] for row in rows if not is_companion(row["file"])])
    wanted = set(images)
    return [row for row in rows if row["file"] in wanted]


def _refuse_links(folder: Path) -> None:
    """DVC does not look behind a link to a folder: images that changed there would go unnoticed."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink() and path.is_dir() and not is_companion(path.relative_to(folder).as_posix()):
            raise DataError(
                f"{path}: a link to a folder, in which DVC would not notice changes. Set data.root to the real folder, "
                "or copy the images."
            )


def _rows_of_csv(folder: Path, labels_csv: str) -> list[dict[str, Any]]:
    path = folder / labels_csv
    remedy = "Name each image's path in the column file, or set labels_csv to null to use the folders' names."
    rows = read_table(path, ["file"], remedy=remedy)
    for row in rows:
        row["file"] = os.path.normpath(row["file"])  # a/b.png and ./a/b.png are one image
    files = [relative_path(row["file"], f"{path}: file") for row in rows]
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        raise DataError(
            f"{path}: names files that do not exist: {', '.join(missing[:MAX_NAMED])}{more}. "
            f"Put them under {folder}, or delete their rows."
        )
    doubled = [file for file, n in Counter(files).items() if n > 1]
    if doubled:
        raise DataError(f"{path}: lists {doubled[0]} more than once. Delete the rows that are too many.")
    return rows


def _record(root: Path, name: str, row: dict[str, Any], patient_id_pattern: str | None) -> Record:
    folder = root / name
    file = folder / row["file"]
    return Record(
        name=f"{name}/{row['file']}",
        patient_id=_patient(row, patient_id_pattern),
        label=_label(folder, row),
        source=row.get("source") or name,
        read=partial(file.read_bytes),
        version=file_version(file),
        view=row.get("view") or None,
        sex=row.get("sex") or None,
        age=_age(folder, row),
        licence=row.get("licence") or None,
    )


def _label(folder: Path, row: dict[str, Any]) -> ClassName:
    names = [row["label"]] if row.get("label") else list(reversed(Path(row["file"]).parts[:-1]))
    for name in names:
        for label in CLASSES:
            if name.lower() == label:
                return label
    found = f"the label {names[0]!r}" if row.get("label") else "no class folder above it"
    raise DataError(f"{folder / row['file']}: {found}; a class is one of {', '.join(CLASSES)}. Correct or remove it.")


def _patient(row: dict[str, Any], patient_id_pattern: str | None) -> str | None:
    if row.get("patient_id"):
        return str(row["patient_id"])  # as given: the same id in two folders is the same patient
    if patient_id_pattern is None:
        return None
    match = re.search(patient_id_pattern, Path(row["file"]).name)
    if match is None or not match.group(1):
        raise DataError(
            f"{row['file']}: patient_id_pattern {patient_id_pattern!r} finds no patient in this file name. "
            "Correct the pattern, or rename or remove the file."
        )
    return match.group(1)


def _age(folder: Path, row: dict[str, Any]) -> float | None:
    if not row.get("age"):
        return None
    try:
        return float(row["age"])
    except ValueError as error:
        raise DataError(f"{folder / row['file']}: age {row['age']!r} is not a number of years. Correct it.") from error
