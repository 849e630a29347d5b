"""NIH's patients behind RSNA's images: the challenge's images are a part of NIH's ChestX-ray8."""

from pathlib import Path

from coronet_core.data.sources.tables import read_table

REMEDY = (
    "It is RSNA's mapping of the challenge's images to NIH's, as a CSV with the columns rsna_patientId and "
    "nih_patient; set nih_map_csv to null to do without it."
)


def patients_of_rsna(path: Path) -> dict[str, str]:
    """Return the NIH patient, such as nih-00019124, of each of RSNA's image ids."""
    rows = read_table(path, ["rsna_patientid", "nih_patient"], remedy=REMEDY)
    return {row["rsna_patientid"]: f"nih-{row['nih_patient']}" for row in rows}
