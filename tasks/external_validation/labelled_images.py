"""The images of a labelled folder as the model reads them, with what is known of each; each counts once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.common.shards import Shards
from coronet_core.data.ingest import (
    Preprocessing,
    damaged_files,
    group_oldest,
    join_headers,
    places_in_stack,
    read_images,
)
from coronet_core.data.patients.pseudonyms import Ids
from coronet_core.data.reading.suitability import note_unsuitable
from coronet_core.data.splitting.duplicates import mark_duplicates
from coronet_core.support.errors import DataError
from tasks.build_split.pseudonym_key import pseudonym_key
from tasks.external_validation.labelled_folder import LabelledFolder
from tasks.external_validation.tested_model import MIN_GREY_LEVELS, OLDEST_AGE_YEARS, TestedModel
from tasks.runtime.progress import Progress
from tasks.runtime.resume import set_aside

BLOCK_IMAGES: Final = 512
"""Images that an interruption can cost."""


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """Rows of a manifest, and the pixels of those that could be read."""

    rows: pd.DataFrame
    """A row per listed image, those left out with `rejected_because`; also the columns `file` and `kind`."""
    named_by: str
    """Fingerprint of the ids of patients."""
    _stack: Shards = field(repr=False)
    _places: NDArray[np.int64] = field(repr=False)

    @property
    def accepted(self) -> pd.DataFrame:
        """The rows of the images that are not left out."""
        return self.rows[self.rows["rejected_because"].isna()]

    def take(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the pixels (n, H, W) of the images at `positions` of the rows."""
        pixels: NDArray[np.uint8] = self._stack.take(self._places[positions])
        return pixels

    def leave_out(self, chosen: NDArray[np.bool_], reason: str) -> None:
        """Leave out the `chosen` (n,) of the rows, those that are left out already excepted."""
        self.rows.loc[chosen & self.rows["rejected_because"].isna().to_numpy(), "rejected_because"] = reason


def read_labelled(folder: LabelledFolder, tested: TestedModel, work: Path) -> LabelledImages:
    """Read the images of `folder` as the model of `tested` does. What a killed run has left in `work` is taken.

    Images of patients who share an image are of one `patient_group`. Raises DataError if none can be read.
    """
    model, records = tested.model, folder.listing.records
    ids = Ids(pseudonym_key(), as_given=tested.data_param("ids", "hashed") == "as_given")
    decoded, blocks = work / "decoded", work / "blocks"
    for damaged in damaged_files(decoded, blocks):
        set_aside(damaged, work)
    preprocessing = Preprocessing(image_size_px=model.image_size_px, aspect=model.aspect, reading=model.reading)
    with Progress("reading images", len(records), "images") as bar:
        rows = read_images(records, preprocessing, BLOCK_IMAGES, ids, decoded, blocks, bar.advance)
    if rows["rejected_because"].notna().all():
        raise DataError(
            f"{folder.path}: none of {len(rows)} images can be read (the first, {folder.files[0]}: "
            f"{rows['rejected_because'].iloc[0]}). Give X-rays as DICOM, PNG or JPEG."
        )
    join_headers(rows, records, ids)
    group_oldest(rows, tested.data_param("oldest_age_years", OLDEST_AGE_YEARS))
    note_unsuitable(rows, tested.data_param("min_grey_levels", MIN_GREY_LEVELS))
    images = LabelledImages(
        rows=rows.assign(file=folder.files),
        named_by=ids.fingerprint,
        _stack=Shards.in_folder(decoded, may_have_gaps=True),
        _places=places_in_stack(rows),
    )
    mark_duplicates(images.rows, images.take)
    return images
