"""NIH's patients behind RSNA's images: the challenge's images are a part of NIH's ChestX-ray8."""

from collections.abc import Iterable
from pathlib import Path

from coronet_core.data import patient_ids
from coronet_core.data.sources.tables import read_table
from coronet_core.errors import DataError

REMEDY = (
    "It is RSNA's mapping of the challenge's images to NIH's, as a CSV with the columns rsna_patientId and "
    "nih_patient; set nih_map_csv to null to do without it."
)


def patients_of_rsna(path: Path, images: Iterable[str]) -> dict[str, str]:
    """Return the NIH patient, such as nih-00019124, of each of RSNA's `images`.

    Raises DataError when the mapping lacks one of them: its patient could end up in two splits.
    """
    rows = read_table(path, ["rsna_patientid", "nih_patient"], remedy=REMEDY)
    ids = patient_ids.of_column([row["nih_patient"] for row in rows])
    patients = {row["rsna_patientid"]: f"nih-{one}" for row, one in zip(rows, ids, strict=True) if one is not None}
    if missing := sorted(set(images) - patients.keys()):
        raise DataError(f"{path}: lacks {len(missing)} of RSNA's images, such as {missing[0]}. {REMEDY}")
    return patients
