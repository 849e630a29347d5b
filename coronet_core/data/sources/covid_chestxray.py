"""Source `covid_chestxray`: the collection of Cohen et al. 2020, its metadata.csv and images.

Every layout of the table of 2020 is read. From August 2020 on, findings are paths (Pneumonia/Viral/COVID-19); the
rules name their last part. The collection's images have licences of their own, which the manifest keeps.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from coronet_core.common.classes import ClassName
from coronet_core.data import fields
from coronet_core.data.file_names import relative_path
from coronet_core.data.image_record import Listing, Record, file_version
from coronet_core.data.patients import patient_ids
from coronet_core.data.sources.label_tables import read_table
from coronet_core.support.errors import DataError

SOURCE = "covid-chestxray"
RADIOGRAPH = "X-ray"
REMEDY = "Fetch the collection with `coronet data fetch covid-chestxray`, or name its folder in params.yaml."


def records(
    folder: Path,
    metadata_csv: str,
    images: str,
    views: Collection[str],
    modalities: Collection[str],
    findings: Mapping[str, ClassName],
) -> Listing:
    """List the rows of the table that have one of `modalities`, one of `views` and one of `findings`, exactly.

    Raises DataError for a missing or foreign table, or if no row follows the rules.
    """
    path = folder / metadata_csv
    rows = read_table(path, ["patientid", "finding", "view", "filename"], remedy=REMEDY)
    listing = Listing(records=[], passed_over=Counter())
    patients = patient_ids.of_column([row["patientid"] for row in rows])
    for row, patient in zip(rows, patients, strict=True):
        finding = row["finding"] if row["finding"] in findings else row["finding"].rsplit("/", 1)[-1]
        modality = row.get("modality", RADIOGRAPH)  # the first tables of 2020 held nothing else
        if modality not in modalities:
            listing.passed_over[f"modality {modality or 'unknown'}"] += 1
        elif row["view"] not in views:
            listing.passed_over[f"projection {row['view'] or 'unknown'}"] += 1
        elif finding not in findings:
            listing.passed_over[f"finding {finding or 'unknown'}"] += 1
        else:
            file = folder / images / relative_path(row["filename"], f"{path}: file")
            listing.records.append(_record(file, row, patient, findings[finding], listing.unread))
    if not listing.records:
        raise DataError(
            f"{path}: none of its {len(rows)} rows matches the modalities {', '.join(modalities)}, the "
            f"projections {', '.join(views)} and the findings {', '.join(findings)}. Correct these rules in "
            "params.yaml."
        )
    return listing


def _record(file: Path, row: dict[str, str], patient: str | None, label: ClassName, unread: Counter[str]) -> Record:
    return Record(
        source=SOURCE,
        name=row["filename"],
        patient_id=patient_ids.prefixed("cohen", patient),
        has_placeholder_id=patient is None and patient_ids.is_written(row["patientid"]),
        label=label,
        read=partial(file.read_bytes),
        version=file_version(file),
        licence=row.get("license") or None,
        **fields.of_row(row, unread),
    )
