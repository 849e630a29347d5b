"""The rows of a batch prediction: one a file, with its answer or the reason why there is none."""

from typing import Final

import pandas as pd
import pyarrow as pa

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from tasks.calibrate.calibration_file import Calibration
from tasks.networks.residual_index import ENERGY_COLUMNS

SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),  # as it was named, or found in the folder that was
        ("error", pa.string()),  # why there is no answer; null if there is one
        ("sha256", pa.string()),  # of the file
        ("width_px", pa.int32()),  # of the image as stored
        ("height_px", pa.int32()),
        ("predicted", pa.string()),  # the most probable class, abstained from or not
        *((f"{kind}_{label}", pa.float64()) for kind in ("logit", "probability", "calibrated") for label in CLASSES),
        ("prediction_set", pa.list_(pa.string())),
        ("abstained", pa.bool_()),  # the image should be left to a person
        ("abstained_because", pa.string()),
        *((column, pa.float64()) for column in ENERGY_COLUMNS),  # mean of each channel of the residual tensor
        ("ood_score", pa.float64()),  # how unlike the validation images; 0 is the middle
        ("out_of_distribution", pa.bool_()),  # further out than calibrate.energy_percentile
    ]
)

ANSWERS: Final = [
    field
    for field in SCHEMA
    if field.name not in ("path", "prediction_set") and not field.name.startswith(("logit_", "probability_"))
]
"""What a program is told of an image that has no name."""


def described(answers: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Return `answers` with the reasons for abstentions, and whether each image is out of distribution."""
    reasons = [_reason(held) if left else None for held, left in answers[["prediction_set", "abstained"]].to_numpy()]
    is_far = answers["ood_score"] > calibration.energies.threshold
    return answers.assign(abstained_because=pd.Series(reasons, dtype=object), out_of_distribution=is_far)


def in_unicode(path: str) -> str:
    """Return `path` as text of any kind can hold it: bytes of a file's name that are not UTF-8 become escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _reason(prediction_set: list[str]) -> str:
    if not prediction_set:
        return "no class is probable enough"
    names = [DISPLAY_NAMES[label] for label in CLASSES if label in prediction_set]
    return f"cannot tell {', '.join(names[:-1])} and {names[-1]} apart"
