"""Published splits: which images COVID-Net and others test on, and the patients who are in both of their parts."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import Leaks
from coronet_core.data.image_record import Record
from coronet_core.data.text_files import read_text
from coronet_core.support.errors import DataError
from coronet_core.support.plurals import counted

MAX_NAMED = 5
LEAK = "leak: its patient is in the published test part"


def read_ids(path: Path) -> set[str]:
    """Read a list of image ids: one a line, or an NPY file of strings, as COVID-Net publishes them."""
    if not path.is_file():
        raise DataError(f"{path}: no such list of image ids. Put it there, or correct data.split.test_images.")
    try:
        if path.suffix == ".npy":
            return {str(name) for name in np.load(path, allow_pickle=False)}
        return set(read_text(path)[0].removeprefix("\ufeff").split())
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: not a list of image ids ({error}). Write one id per line.") from error


def with_test_patients(records: list[Record], patients: Collection[str], images: Collection[str]) -> list[Record]:
    """Return `records` with their published part: test for those of `patients` and those named in `images`.

    Raises DataError when one of them is in no source.
    """
    known = {record.patient_id for record in records} | {record.name for record in records}
    if unknown := sorted({*patients, *images} - known):
        raise DataError(
            f"{len(unknown)} of the published test patients and images are in no source, such as "
            f"{', '.join(unknown[:MAX_NAMED])}. Name patients as the sources do (cohen-8), correct "
            "data.split.test_patients and test_images, or add the source."
        )
    return [
        replace(
            record,
            published_part="test" if record.patient_id in patients or record.name in images else "train",
        )
        for record in records
    ]


def require_parts(records: list[Record]) -> None:
    """Raise DataError if a record is in no published list."""
    unlisted = sorted({record.source for record in records if record.published_part is None})
    if unlisted:
        raise DataError(
            f"source {unlisted[0]} has images that are in no published list. Take it out of data.sources, or set "
            "data.split.by to patients."
        )


def leaking(manifest: pd.DataFrame) -> pd.Series:
    """Return for each image whether its group of patients has accepted images in both published parts."""
    accepted = manifest["rejected_because"].isna()
    parts = manifest["published_part"].where(accepted).groupby(manifest["patient_group"]).transform("nunique")
    return accepted & (parts > 1)


def leaks_by_class(manifest: pd.DataFrame) -> dict[str, list[str]]:
    """Return for each class the patients, sorted, whose images of that class are in both published parts."""
    accepted = manifest[manifest["rejected_because"].isna()]
    parts = accepted.groupby(["label", "patient_group"])["published_part"].nunique()
    both = parts[parts > 1].reset_index()
    return {label: sorted(both.loc[both["label"] == label, "patient_group"]) for label in CLASSES}


def treat_leaks(manifest: pd.DataFrame, leaks: Leaks) -> None:
    """Refuse or repair, in place, what `leaking` finds."""
    leaked = leaking(manifest)
    if leaks is Leaks.REFUSE and leaked.any():
        patients = sorted(manifest.loc[leaked, "patient_group"].unique())
        raise DataError(
            f"the published split has {counted(len(patients), 'patient')} both in its training and in its test part "
            f"({', '.join(patients[:MAX_NAMED])}{', ...' if len(patients) > MAX_NAMED else ''}). Set data.split.leaks "
            "to repair (the training part loses their images) or, to compare with published figures, to keep."
        )
    if leaks is Leaks.REPAIR:
        manifest.loc[leaked & (manifest["published_part"] == "train"), "rejected_because"] = LEAK
