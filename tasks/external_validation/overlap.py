"""Images and patients that the model was made with are left out: they would flatter it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.data.splitting.duplicates import KINDS, Images
from coronet_core.data.splitting.shared_images import NAMED_BY, Match, of_shared_patients, shared_images
from coronet_core.support.plurals import counted
from tasks.external_validation.labelled_images import LabelledImages
from tasks.external_validation.training_images import TrainingImages

TRAINING_IMAGE: Final = "training or validation image of the model"
TRAINING_PATIENT: Final = "image of a training or validation patient of the model"
NOT_CHECKED: Final = (
    "Overlap with the training images was not checked: the manifest of the model's split is neither in this project, "
    "nor in DVC's cache or remote, nor in MLflow."
)
NO_PIXELS: Final = (
    "Near duplicates of training images are not searched for: their manifest is available, their pixels are not. Only "
    "identical images are found."
)
OTHER_KEY: Final = (
    "Patients are not compared: the ids of the model's split were written with another CORONET_PSEUDONYM_KEY. Set the "
    "one that it was built with."
)


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What was compared with the images that the model was made with, and how many images were left out for it."""

    training_images: int | None
    """Of the training and validation splits; None if they are unknown."""
    checked: list[str]
    """`images`, `near_duplicates` and `patients`, as far as they could be compared."""
    images: dict[str, int]
    """Images that show the same as one of them: identical bytes, identical pixels, or near duplicates."""
    patients: int
    """Further images of patients who have one among them."""
    own_test_images: int
    """Images of the model's own test split, which stay."""
    notes: list[str]
    """What could not be compared, as sentences."""

    @property
    def left_out(self) -> int:
        """Number of all images left out."""
        return sum(self.images.values()) + self.patients


def leave_out_overlap(images: LabelledImages, training: TrainingImages | None) -> Overlap:
    """Leave out of `images` those that the model was made with, and all others of their patients; says what was done.

    The column `same_as` gets the id of the training image, `kind` how it is the same.
    """
    images.rows[["same_as", "kind"]] = None
    if training is None:
        nothing = dict.fromkeys(KINDS, 0)
        return Overlap(
            training_images=None, checked=[], images=nothing, patients=0, own_test_images=0, notes=[NOT_CHECKED]
        )
    rows, seen = images.accepted, training.seen
    matches = _matches(images, rows, seen, training)
    for position, match in matches.items():
        images.rows.loc[rows.index[position], ["same_as", "kind"]] = [seen["image_id"].iloc[match.place], match.kind]
    is_named_alike = training.named_by == images.named_by
    of_patients = of_shared_patients(rows, seen) if is_named_alike else np.zeros(len(rows), dtype=np.bool_)
    is_known = of_patients | np.isin(np.arange(len(rows)), list(matches))
    known = set(rows["patient_group"][is_known])
    images.leave_out(images.rows["kind"].notna().to_numpy(), TRAINING_IMAGE)
    images.leave_out(images.rows["patient_group"].isin(known).to_numpy(), TRAINING_PATIENT)
    counts = Counter(match.kind for match in matches.values())
    return Overlap(
        training_images=len(seen),
        checked=[
            "images",
            *(["near_duplicates"] if training.stack is not None else []),
            *(["patients"] if is_named_alike else []),
        ],
        images={kind: counts[kind] for kind in KINDS},
        patients=int((images.rows["rejected_because"] == TRAINING_PATIENT).sum()),
        own_test_images=len(_matches(images, images.accepted, training.tested, training)),
        notes=_notes(rows, training, is_named_alike=is_named_alike),
    )


def _matches(
    images: LabelledImages, rows: pd.DataFrame, known: pd.DataFrame, training: TrainingImages
) -> dict[int, Match]:
    return shared_images(rows, known, _pixels_of_both(images, rows, known, training))


def _pixels_of_both(
    images: LabelledImages, rows: pd.DataFrame, known: pd.DataFrame, training: TrainingImages
) -> Callable[[NDArray[np.int64]], Images] | None:
    """Return the function from positions in `known` and, behind these, `rows` to pixels; None without the former's."""
    stack = training.stack
    if stack is None:
        return None
    theirs, ours = (one.index.to_numpy(dtype=np.int64) for one in (known, rows))

    def pixels(positions: NDArray[np.int64]) -> Images:
        is_theirs = positions < len(theirs)
        taken: Images = np.empty((len(positions), *stack.row_shape), dtype=np.uint8)
        taken[is_theirs] = stack.take(theirs[positions[is_theirs]])
        taken[~is_theirs] = images.take(ours[positions[~is_theirs] - len(theirs)])
        return taken

    return pixels


def _notes(rows: pd.DataFrame, training: TrainingImages, *, is_named_alike: bool) -> list[str]:
    notes = [] if training.stack is not None else [NO_PIXELS]
    if not is_named_alike:
        return [*notes, OTHER_KEY]
    for whose, found in (("external", rows), ("training", training.seen)):
        if unnamed := int((~found["patient_id_from"].isin(NAMED_BY)).sum()):
            notes.append(
                f"No patient id in {unnamed} of {counted(len(found), f'{whose} image')}: these are not compared by "
                "patient."
            )
    return notes
