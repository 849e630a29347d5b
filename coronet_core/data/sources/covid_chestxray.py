"""Source `covid_chestxray`: the collection of Cohen et al. 2020, its metadata.csv and images.

Every layout of the table of 2020 is read. From August 2020 on, findings are paths (Pneumonia/Viral/COVID-19); the
rules name their last part. The collection's images have licences of their own, which the manifest keeps.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from coronet_core.classes import ClassName
from coronet_core.data.file_names import relative_path
from coronet_core.data.record import Listing, Record, file_version
from coronet_core.data.sources.tables import read_table, years
from coronet_core.errors import DataError

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
    for row in rows:
        finding = row["finding"] if row["finding"] in findings else row["finding"].rsplit("/", 1)[-1]
        modality = row.get("modality", RADIOGRAPH)  # the first tables of 2020 held nothing else
        if modality not in modalities:
            listing.passed_over[f"modality {modality or 'unknown'}"] += 1
        elif row["view"] not in views:
            listing.passed_over[f"view {row['view'] or 'unknown'}"] += 1
        elif finding not in findings:
            listing.passed_over[f"finding {finding or 'unknown'}"] += 1
        else:
            listing.records.append(
                _record(folder / images / relative_path(row["filename"], f"{path}: file"), row, findings[finding])
            )
    if not listing.records:
        raise DataError(
            f"{path}: none of its {len(rows)} rows has one of the modalities {', '.join(modalities)}, of the "
            f"views {', '.join(views)} and of the findings {', '.join(findings)}. Correct these rules in "
            "params.yaml."
        )
    return listing


def _record(file: Path, row: dict[str, str], label: ClassName) -> Record:
    return Record(
        source=SOURCE,
        name=row["filename"],
        patient_id=f"cohen-{row['patientid']}",
        label=label,
        read=partial(file.read_bytes),
        version=file_version(file),
        view=row["view"],
        sex=row.get("sex") or None,
        age=years(row.get("age")),
        licence=row.get("license") or None,
    )
