"""Images and patients of one data set that another has, too: what a model was trained on must not judge it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.data.splitting.duplicates import Images, near_duplicates

NAMED_BY: Final = ("table", "header")
"""Origins of an id that is the patient's own; without one, an image counts as a patient of its own."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """How an image is in the other data set."""

    place: int
    """Position of the other's image."""
    kind: str
    """bytes, pixels or near."""


def shared_images(
    images: pd.DataFrame, known: pd.DataFrame, images_at: Callable[[NDArray[np.int64]], Images] | None
) -> dict[int, Match]:
    """Return the images, by their position in `images`, that `known` has, too; both are rows of a manifest.

    Both were read with the same settings. `images_at` returns the images at given positions in `known` and, behind
    these, `images`; without it only identical files and identical pixels are found.
    """
    found: dict[int, Match] = {}
    if images_at is not None and len(known):
        hashes = [*known["perceptual_hash"], *images["perceptual_hash"]]
        for place, position in near_duplicates(hashes, images_at, n_first=len(known)).tolist():
            found.setdefault(position - len(known), Match(place=place, kind="near"))
    for column, kind in (("pixel_sha256", "pixels"), ("sha256", "bytes")):  # the strictest last: it is what counts
        places = {value: place for place, value in reversed([*enumerate(known[column])]) if isinstance(value, str)}
        for position, value in enumerate(images[column]):
            if value in places:
                found[position] = Match(place=places[value], kind=kind)
    return found


def of_shared_patients(images: pd.DataFrame, known: pd.DataFrame) -> NDArray[np.bool_]:
    """Return whether each of `images` (n,) is of a patient who has images in `known`; both are rows of a manifest.

    Ids are compared with and without leading zeros and capitals, and those of tables with those of headers: it is
    better to leave out a patient too many than to test a model on one that it was trained on.
    """
    theirs = known[known["patient_id_from"].isin(NAMED_BY)]
    is_shared = images["patient_id"].isin(set(theirs["patient_id"]))
    is_shared |= images["patient_id_zeroless"].isin(set(theirs["patient_id_zeroless"].dropna()))
    return np.asarray(is_shared & images["patient_id_from"].isin(NAMED_BY), dtype=np.bool_)
