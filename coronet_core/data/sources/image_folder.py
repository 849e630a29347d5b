"""Source `image_folder`: class folders of image files, with an optional labels CSV.

Without a CSV, the class is the folder's name (`healthy/`, `pneumonia/`, `covid19/` or an alias, at any depth). With
one, the CSV lists the images: column `file` (relative to the folder) is required; `label`, `patient_id`, `view`, `sex`,
`age`, `source` and `licence` are read if they are there; other columns are ignored. A CSV of readers' verdicts
(`reader_verdicts`) may list an image several times, and knows it by its content.
"""

import itertools
import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.data import fields
from coronet_core.data.class_names import ALIASES, class_of, is_denial, suggestion
from coronet_core.data.file_kinds import beginning_of
from coronet_core.data.image_files import find_images, is_companion
from coronet_core.data.image_record import Listing, Record, file_version
from coronet_core.data.patients import patient_ids
from coronet_core.data.segmentation_masks import without_masks
from coronet_core.data.sources.label_tables import listed_files, read_table
from coronet_core.data.sources.reader_verdicts import are_verdicts, settle
from coronet_core.support.errors import DataError

AUTO: Final = "auto"
"""Of `labels_csv`: the file of that name below, if it is there."""
DEFAULT_CSV: Final = "labels.csv"
OTHER_NAMES: Final = {
    **dict.fromkeys(("patientid", "patient", "pid", "subject_id", "subjectid", "subject", "id_patient"), "patient_id"),
    "license": "licence",
}
"""Of columns: a patient's id that is overlooked would put the patient into two splits."""
TABLE_SUFFIXES: Final = frozenset({".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods"})
NAME_IT: Final = "name it in the source's class_aliases in params.yaml"
NOT_LISTED: Final = "not listed in the labels CSV"


def records(
    root: Path,
    name: str,
    labels_csv: str | None,
    patient_id_pattern: str | None,
    class_aliases: Mapping[str, ClassName] = ALIASES,
    *,
    remedy: str = NAME_IT,
) -> Listing:
    """List the images of the folder `name` in `root`, sorted by name.

    `patient_id_pattern` is a regular expression whose first group is the patient, in the file's name or else in its
    path below the folder; it serves images whose CSV has no `patient_id`. Without either, DICOM headers are read, else
    each image counts as a separate patient. Skipped files are counted by reason: files that are not images or not in
    the CSV; and, even if in the CSV, masks next to images, hidden files and system files
    (`coronet_core.data.image_files`). `remedy` is what else errors offer for an image whose class is not known.

    Raises DataError for a missing folder or CSV, a link to a folder, a row without a file or a known label.
    """
    folder = root / name
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder. Put the images there, or set data.root to where they are.")
    _refuse_links(folder)
    notes: list[str] = []
    if labels_csv == AUTO:
        labels_csv, notes = _found_csv(folder)
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    found = find_images((file for file in files if file != labels_csv), lambda file: beginning_of(folder / file))
    if labels_csv is None:
        rows: list[dict[str, Any]] = [{"file": file} for file in found.names]
    else:
        rows, left_out = _rows_of_csv(folder, labels_csv, files, found.names)
        found.passed_over.update(left_out.values())
        found.passed_over[NOT_LISTED] = len(set(found.names) - {row["file"] for row in rows} - set(left_out))
    rows.sort(key=lambda row: str(row["file"]))
    unread: Counter[str] = Counter()
    patients = _patients(rows, patient_id_pattern)
    records = [
        _record(root, name, row, patient, _label(folder, row, class_aliases, remedy), unread)
        for row, patient in zip(rows, patients, strict=True)
    ]
    return Listing(records=records, passed_over=+found.passed_over, unread=unread, notes=notes)


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


def _found_csv(folder: Path) -> tuple[str | None, list[str]]:
    """Return the labels CSV if it is there, and otherwise notes on the tables that are not read."""
    if (folder / DEFAULT_CSV).is_file():
        return DEFAULT_CSV, []
    tables = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in TABLE_SUFFIXES)
    not_read = f" {', '.join(tables)} is not read: to use it, name it as labels_csv in params.yaml." if tables else ""
    return None, [f"{folder}: no {DEFAULT_CSV}, so the folder names are the classes.{not_read}"]


def _rows_of_csv(
    folder: Path, labels_csv: str, files: list[str], images: list[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the rows of images with a label, and why others that the CSV lists have none, by their paths."""
    path = folder / labels_csv
    remedy = "Name each image's path in the column file, or set labels_csv to null to use the folders' names."
    rows = read_table(path, ["file"], remedy=remedy)
    if are_verdicts(rows):
        settled = settle(path, folder, rows, images)
        return [_with_own_names(row) for row in settled.rows], settled.left_out
    found = listed_files(path, folder, [row["file"] for row in rows], files)
    return _without_others([_with_own_names(row) | {"file": file} for row, file in zip(rows, found, strict=True)]), {}


def _with_own_names(row: dict[str, Any]) -> dict[str, Any]:
    others = {own: row[name] for name, own in OTHER_NAMES.items() if row.get(name)}
    return row | {own: value for own, value in others.items() if not row.get(own)}


def _record(
    root: Path, name: str, row: dict[str, Any], patient: str | None, label: ClassName, unread: Counter[str]
) -> Record:
    file = root / name / row["file"]
    return Record(
        name=f"{name}/{row['file']}",
        patient_id=patient,
        has_placeholder_id=patient is None and patient_ids.is_written(row.get("patient_id")),
        label=label,
        source=row.get("source") or name,
        read=partial(file.read_bytes),
        version=file_version(file),
        licence=row.get("licence") or None,
        **fields.of_row(row, unread),
    )


def _label(folder: Path, row: dict[str, Any], aliases: Mapping[str, ClassName], remedy: str) -> ClassName:
    names = [row["label"]] if row.get("label") else list(reversed(Path(row["file"]).parts[:-1]))
    named = {name: label for name in names if (label := class_of(name, aliases)) is not None}
    nearer = itertools.takewhile(lambda name: name not in named, names)
    if denied := next((name for name in nearer if is_denial(name, aliases)), None):
        raise DataError(
            f"{folder / row['file']}: {denied!r} is a negation; a class is one of {', '.join(CLASSES)}. "
            f"Rename or remove it, or {remedy}."
        )
    if not named:
        found = f"the label {names[0]!r}" if row.get("label") else "no class folder above it"
        meant = next((text for text in (suggestion(name, aliases) for name in names) if text), "")
        raise DataError(
            f"{folder / row['file']}: {found}; a class is one of {', '.join(CLASSES)}.{meant} Correct or remove it, or "
            f"{remedy}."
        )
    exact = [label for name, label in named.items() if name.lower() == label]
    if len(set(named.values())) > 1 and len(exact) < len(named):
        raise DataError(
            f"{folder / row['file']}: its folders name several classes ({', '.join(named)}). Rename one of them, or "
            "give the class in the column label of a labels CSV."
        )
    return next(iter(named.values()))


def _patients(rows: list[dict[str, Any]], pattern: str | None) -> list[str | None]:
    """Return the id of each row's patient: as given, so that the same id in two folders is the same patient."""
    of_table = patient_ids.of_column([row.get("patient_id") for row in rows])
    if pattern is None:
        return of_table
    return [one or _patient_in_path(row["file"], pattern) for row, one in zip(rows, of_table, strict=True)]


def _patient_in_path(file: str, pattern: str) -> str | None:
    """Return the patient whom `pattern` finds in the file's name or, with nothing there, in its path."""
    for text in (Path(file).name, file):
        match = re.search(pattern, text)
        if match is not None and match[1]:
            return patient_ids.normalised(match[1], zeros_are_ids=True)
    raise DataError(
        f"{file}: patient_id_pattern {pattern!r} finds no patient in this file name, nor in the path. Correct the "
        "pattern, or rename or remove the file."
    )
