"""Which images of a validation count, with their predictions, and why the others do not."""

from collections import Counter
from typing import Any, Final

import pandas as pd

from coronet_core.common.classes import CLASSES
from coronet_core.common.manifest import groupings
from coronet_core.data.reading.suitability import counted_notes
from coronet_core.data.splitting.duplicates import CONTRADICTION
from tasks.calibrate.calibration_file import Calibration
from tasks.calibrate.predictions import prediction_rows
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.external_validation.labelled_folder import LabelledFolder
from tasks.external_validation.labelled_images import LabelledImages
from tasks.external_validation.overlap import TRAINING_IMAGE, TRAINING_PATIENT
from tasks.package.prediction_schema import with_reasons

DUPLICATE: Final = "duplicate"
ON_PURPOSE: Final = (TRAINING_IMAGE, TRAINING_PATIENT, DUPLICATE, CONTRADICTION)
"""Why a readable image is left out."""


def image_counts(folder: LabelledFolder, images: LabelledImages) -> dict[str, Any]:
    """Return how many images there were, and why some do not count."""
    reasons = images.rows["rejected_because"].dropna()
    unreadable = Counter(short_reason(reason) for reason in reasons if reason not in ON_PURPOSE)
    by_class = images.rows["label"].value_counts()
    return {
        "listed": len(images.rows),
        "by_class": {label: int(by_class.get(label, 0)) for label in CLASSES},
        "evaluated": len(images.accepted),
        "unreadable": dict(unreadable.most_common()),
        "duplicates": int((reasons == DUPLICATE).sum()),
        "contradicting_duplicates": int((reasons == CONTRADICTION).sum()),
        "skipped": dict(folder.listing.passed_over.most_common()),
        "unread": dict(folder.listing.unread.most_common()),
        "reading_notes": counted_notes(images.accepted),
    }


def short_reason(reason: str) -> str:
    """Return a reason without its details, so that equal ones can be counted."""
    return reason.split(" (", maxsplit=1)[0]


def prediction_table(predictions: SplitPredictions, calibration: Calibration) -> pd.DataFrame:
    """Return a row per evaluated image: its file, what the folder says of it, and its prediction."""
    images = predictions.images.reset_index(drop=True)
    described = images[["file", "image_id", "patient_id", "label"]].assign(**groupings(images))
    rows = with_reasons(prediction_rows(predictions.logits, predictions.energies, calibration), calibration)
    return described.join(rows)


def left_out_table(images: LabelledImages) -> pd.DataFrame:
    """Return a row per image that does not count, with the reason and the training image that it shows."""
    rows = images.rows[images.rows["rejected_because"].notna()]
    columns = {
        "file": "file",
        "label": "label",
        "rejected_because": "reason",
        "same_as": "training_image",
        "kind": "kind",
    }
    return rows[list(columns)].rename(columns=columns)
