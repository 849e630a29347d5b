"""The rows of predictions: one per file, with the prediction or the reason why there is none."""

from typing import Final

import pandas as pd
import pyarrow as pa

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from tasks.calibrate.calibration_file import Calibration
from tasks.networks.residual_index import ENERGY_COLUMNS

SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),  # as given, or as found in the given folder
        ("error", pa.string()),  # why there is no prediction; null if there is one
        ("sha256", pa.string()),  # of the file
        ("width_px", pa.int32()),  # of the image as stored
        ("height_px", pa.int32()),
        ("predicted", pa.string()),  # the most probable class, even if abstained
        *((f"{kind}_{label}", pa.float64()) for kind in ("logit", "probability", "calibrated") for label in CLASSES),
        ("prediction_set", pa.list_(pa.string())),
        ("abstained", pa.bool_()),  # the image needs a human reader
        ("abstained_because", pa.string()),
        ("disagreement", pa.float64()),  # of the CIN's networks, in nats; null where it is one
        *((column, pa.float64()) for column in ENERGY_COLUMNS),  # mean of each channel of the residual tensor
        ("ood_score", pa.float64()),  # how unlike the validation images; 0 is their centre
        ("out_of_distribution", pa.bool_()),  # beyond calibrate.energy_percentile
    ]
)

PREDICTION_FIELDS: Final = [
    field
    for field in SCHEMA
    if field.name not in ("path", "prediction_set") and not field.name.startswith(("logit_", "probability_"))
]
"""Columns of the MLflow model's output."""


def with_reasons(rows: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Return `rows` with the reasons for abstentions, and whether each image is out of distribution."""
    columns = rows[["prediction_set", "abstained"]].to_numpy()
    reasons = [_reason(prediction_set) if abstained else None for prediction_set, abstained in columns]
    is_far = rows["ood_score"] > calibration.energies.threshold
    return rows.assign(abstained_because=pd.Series(reasons, dtype=object), out_of_distribution=is_far)


def in_unicode(path: str) -> str:
    """Return `path` as valid Unicode: bytes that are not UTF-8 become escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _reason(prediction_set: list[str]) -> str:
    if not prediction_set:
        return "no class is probable enough"
    names = [DISPLAY_NAMES[label] for label in CLASSES if label in prediction_set]
    return f"cannot tell {', '.join(names[:-1])} and {names[-1]} apart"
