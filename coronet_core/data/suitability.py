"""Images that are hardly frontal chest X-rays, by what is known of each: few greys, a lateral view, a slice."""

from collections import Counter
from typing import Final

import pandas as pd

from coronet_core.data.notes import UNSUITABLE, Note

BETWEEN: Final = "; "
LATERAL: Final = "L"
SLICES: Final = ("Axial", "Coronal", "Sagittal")
"""Views by the vocabulary of `coronet_core.data.fields`."""


def note_unsuitable(manifest: pd.DataFrame, min_grey_levels: int) -> None:
    """Add to the `reading_notes` of a manifest just read what its other columns tell against an image, in place.

    Images that were read by the first rule, whose greys were not counted, stay as they are.
    """
    counted = manifest["grey_levels"].notna()
    for note, found in (
        (Note.LATERAL, manifest["view"] == LATERAL),
        (Note.SLICE, manifest["view"].isin(SLICES)),
        (Note.FEW_LEVELS, (manifest["grey_levels"] < min_grey_levels).fillna(value=False).astype(bool)),
    ):
        known = manifest["reading_notes"].str.contains(note, regex=False).fillna(value=False).astype(bool)
        new = found & counted & ~known
        former = manifest.loc[new, "reading_notes"]
        manifest.loc[new, "reading_notes"] = former.add(BETWEEN).fillna("") + note


def reject_unsuitable(manifest: pd.DataFrame) -> None:
    """Give every unsuitable image its note as the reason why it is rejected, in place."""
    for note in UNSUITABLE:
        noted = manifest["reading_notes"].str.contains(note, regex=False).fillna(value=False).astype(bool)
        manifest.loc[noted & manifest["rejected_because"].isna(), "rejected_because"] = str(note)


def counted_notes(manifest: pd.DataFrame) -> dict[str, int]:
    """Return how many images each note is on, the most frequent first."""
    notes = manifest["reading_notes"].dropna().str.split(BETWEEN, regex=False)
    return dict(Counter(note for of_image in notes for note in of_image).most_common())
