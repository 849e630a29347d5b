"""Source `rsna`: the RSNA Pneumonia Detection Challenge of 2018, 26,684 images of NIH's ChestX-ray8."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from coronet_core.common.classes import ClassName
from coronet_core.common.literals import CountedBy
from coronet_core.data.file_names import file_name
from coronet_core.data.image_record import Box, Listing, Record, file_version
from coronet_core.data.patients import patient_ids
from coronet_core.data.sources.label_tables import read_table
from coronet_core.support.errors import DataError
from coronet_core.support.plurals import counted

NIH_REMEDY = (
    "It is RSNA's mapping of the challenge's images to NIH's, as a CSV with the columns rsna_patientId and "
    "nih_patient; set nih_map_csv to null to do without it."
)
SOURCE = "rsna"
SIDE_PX = 1024
"""Width and height of all images of the challenge, to which its boxes refer."""
REMEDY = "Fetch the challenge's data with `coronet data fetch rsna`, or name its folder in params.yaml."


def patients_of_rsna(path: Path, images: Iterable[str]) -> dict[str, str]:
    """Return the NIH patient, such as nih-00019124, of each of RSNA's `images`.

    Raises DataError when the mapping lacks one of them: its patient could end up in two splits.
    """
    rows = read_table(path, ["rsna_patientid", "nih_patient"], remedy=NIH_REMEDY)
    ids = patient_ids.of_column([row["nih_patient"] for row in rows])
    patients = {row["rsna_patientid"]: f"nih-{one}" for row, one in zip(rows, ids, strict=True) if one is not None}
    if missing := sorted(set(images) - patients.keys()):
        raise DataError(f"{path}: lacks {len(missing)} of RSNA's images, such as {missing[0]}. {NIH_REMEDY}")
    return patients


def records(
    folder: Path,
    images: str,
    class_info_csv: str,
    labels_csv: str,
    nih_map_csv: str | None,
    classes: Mapping[str, ClassName],
    counted_by: CountedBy,
) -> Listing:
    """List the images whose detailed class is one of `classes`. Without the table `nih_map_csv`, no patient is known.

    `counted_by` box lists an image once for each of its boxes, as COVIDx did in March 2020: 3,500 images of
    pneumonia again. Raises DataError for missing or foreign tables, or if the two tables contradict each other.
    """
    info = read_table(folder / class_info_csv, ["patientid", "class"], remedy=REMEDY)
    labels = read_table(folder / labels_csv, ["patientid", "x", "y", "width", "height", "target"], remedy=REMEDY)
    class_of = {row["patientid"]: row["class"] for row in info}
    boxes: dict[str, list[Box]] = defaultdict(list)
    for row in labels:
        if row["target"] == "1":
            boxes[row["patientid"]].append(_box(row, folder / labels_csv))
    _refuse_contradictions(class_of, boxes, folder / labels_csv)
    files = {path.stem: path for path in sorted((folder / images).glob("*")) if path.is_file()}
    patients = {} if nih_map_csv is None else patients_of_rsna(folder / nih_map_csv, class_of)
    listing = Listing(records=[], passed_over=Counter())
    for image, name in class_of.items():
        if name not in classes:
            listing.passed_over[f"class {name}"] += 1
            continue
        file = files.get(image, folder / images / f"{file_name(image, f'{folder / class_info_csv}: image')}.dcm")
        record = Record(
            source=SOURCE,
            name=image,
            patient_id=patients.get(image),
            header_repeats_name=True,
            label=classes[name],
            read=partial(file.read_bytes),
            version=file_version(file),
            opacity_boxes=tuple(boxes[image]),
        )
        n_listed = max(1, len(boxes[image])) if counted_by == "box" else 1
        listing.records.extend([record] * n_listed)
    return listing


def _box(row: dict[str, str], path: Path) -> Box:
    try:
        left, top, width, height = (float(row[key]) / SIDE_PX for key in ("x", "y", "width", "height"))
    except ValueError as error:
        raise DataError(f"{path}: image {row['patientid']} has a Target of 1 and no box. {REMEDY}") from error
    return left, top, left + width, top + height


def _refuse_contradictions(class_of: Mapping[str, str], boxes: Mapping[str, list[Box]], path: Path) -> None:
    opaque = {image for image, name in class_of.items() if name == "Lung Opacity"}
    if wrong := sorted(opaque.symmetric_difference(boxes)):
        raise DataError(
            f"{path}: {counted(len(wrong), 'image has', 'images have')} a Target that their detailed class contradicts "
            f"({wrong[0]} is the first). The two tables are not of the same release. {REMEDY}"
        )
