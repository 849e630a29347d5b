"""The images of a labelled folder, listed; nothing is read yet, and torch is not needed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from coronet_core.common.classes import CLASSES
from coronet_core.data.image_record import Listing
from coronet_core.data.sources import image_folder
from coronet_core.support.errors import DataError, ParamsError
from coronet_core.support.plurals import by_reason, counted

LABEL_IT: Final = "give it in the column label of a table (--labels)"
MIN_IMAGES: Final = 2


@dataclass(frozen=True, kw_only=True)
class LabelledFolder:
    """A folder with the class of each image, from the names of its folders or from a table."""

    path: Path
    listing: Listing

    @classmethod
    def of(cls, folder: Path, labels: Path | None = None, patient_id_pattern: str | None = None) -> Self:
        """List `folder` as the source `image_folder` does.

        `labels` is a table, from here or in the folder; without it, `labels.csv` in the folder if it is there.
        `patient_id_pattern` is a regular expression whose first group is the patient in a file's name or path.

        Raises DataError for a missing folder or table, an image without a known class, and fewer than MIN_IMAGES.
        """
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder. Give one with labelled X-rays.")
        path = folder.resolve()
        table = image_folder.AUTO if labels is None else str(_table(path, labels))
        listing = image_folder.records(path.parent, path.name, table, _checked(patient_id_pattern), remedy=LABEL_IT)
        if len(listing.records) < MIN_IMAGES:
            skipped = f" (skipped: {by_reason(listing.passed_over)})" if listing.passed_over else ""
            raise DataError(
                f"{folder}: {counted(len(listing.records), 'labelled image')}{skipped}, at least {MIN_IMAGES} needed. "
                f"Put them in folders called {', '.join(CLASSES)}, or list them in a table (--labels)."
            )
        return cls(path=path, listing=listing)

    @property
    def name(self) -> str:
        """The name of the folder itself."""
        return self.path.name

    @property
    def files(self) -> list[str]:
        """The path of each image below the folder, in the order of the listing."""
        return [record.name.removeprefix(f"{self.name}/") for record in self.listing.records]


def _table(folder: Path, labels: Path) -> Path:
    """Return the table as the source takes it: relative to the folder if it is there, else absolute."""
    found = next((path for path in (labels, folder / labels) if path.is_file()), None)
    if found is None:
        raise DataError(
            f"{labels}: no such table, neither here nor in {folder}. Give a CSV with the columns file and label."
        )
    path = found.resolve()
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _checked(pattern: str | None) -> str | None:
    if pattern is None:
        return None
    try:
        has_group = re.compile(pattern).groups > 0
    except re.error as error:
        raise ParamsError(f"patient_id_pattern = {pattern}: not a regular expression ({error})") from error
    if not has_group:
        raise ParamsError(f"patient_id_pattern = {pattern}: has no group. Put what names the patient in brackets.")
    return pattern
