"""Images that only train the autoencoders: added to a finished split, which they do not change."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.common.classes import FOR_AUTOENCODERS
from coronet_core.data.splitting.duplicates import Images, mark_duplicates

DUPLICATE_OF_MAIN: Final = "duplicate of an image of the other sources"
DUPLICATE: Final = "duplicate"
HELD_OUT_PATIENT: Final = "patient of the validation or test split"


def are_for_autoencoders(manifest: pd.DataFrame) -> pd.Series:
    """Return for each image whether its source is for the autoencoders alone."""
    return manifest["published_part"] == FOR_AUTOENCODERS


def add_for_autoencoders(
    manifest: pd.DataFrame, images_at: Callable[[NDArray[np.int64]], Images] | None, *, keep_duplicates: bool
) -> None:
    """Fill the columns that the split decides for the images for the autoencoders, in place.

    Those of the other sources are decided. Rejected are images that show what one of the other sources shows,
    in whatever split it is; those of patients, or groups of them, that have images in the validation or test
    split; and, unless `keep_duplicates`, those that another one for the autoencoders shows. `images_at` is as in
    `mark_duplicates`, by positions in `manifest`.
    """
    is_extra, is_accepted = are_for_autoencoders(manifest), manifest["rejected_because"].isna()
    was_compared = manifest["patient_group"].notna()  # the duplicates among the others, rejected by now, too
    order = np.concatenate([np.flatnonzero(was_compared & ~is_extra), np.flatnonzero(is_accepted & is_extra)])
    both = manifest.iloc[order].copy()  # the others first: they are the originals
    both[["patient_group", "duplicate_of", "duplicate_kind", "rejected_because"]] = None
    mark_duplicates(both, None if images_at is None else lambda positions: images_at(order[positions]))
    main, extra = both[~are_for_autoencoders(both)], both[are_for_autoencoders(both)]
    held_out = main.loc[main["split"].isin(["validation", "test"]), "patient_group"]
    columns = ["patient_group", "duplicate_of", "duplicate_kind"]
    manifest.loc[extra.index, columns] = extra[columns]
    reasons = pd.Series(None, index=extra.index, dtype=object)
    if not keep_duplicates:
        reasons[extra["duplicate_of"].notna()] = DUPLICATE
    reasons[extra["patient_group"].isin(held_out)] = HELD_OUT_PATIENT
    reasons[extra["duplicate_of"].isin(main["image_id"])] = DUPLICATE_OF_MAIN
    manifest.loc[extra.index, "rejected_because"] = reasons
    manifest.loc[extra.index[reasons.isna()], "split"] = FOR_AUTOENCODERS
