"""Response models of the API: the answer for a file, and the calibration of `/model`."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from coronet_core.common.classes import CLASSES, ClassName
from tasks.calibrate.calibration_file import Calibration


def facts_of(calibration: Calibration) -> dict[str, Any]:
    """Return what the calibration settles, for `/model`."""
    return {
        "validation_images": {label: calibration.images[label] for label in CLASSES},
        "temperature": calibration.temperature,
        "expected_calibration_error": calibration.after.ece,
        "miscoverage": calibration.miscoverage,
        "sensitivity_floor": calibration.sensitivity_floor,
        "covid19_threshold": calibration.covid19_threshold,
        "out_of_distribution_above": calibration.energies.threshold,
        "warnings": list(calibration.warnings),
    }


class FileAnswer(BaseModel):
    """The answer for one file, or the reason why there is none."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="File name as sent by the client; only shown.")
    error: str | None = Field(default=None, description="Why there is no prediction; null if there is one.")
    sha256: str | None = Field(default=None, description="SHA-256 of the file's bytes.")
    width_px: int | None = Field(default=None, description="Of the image as stored.")
    height_px: int | None = None
    predicted: ClassName | None = Field(default=None, description="The most probable class, also if abstaining.")
    probabilities: dict[ClassName, float] | None = Field(default=None, description="Calibrated; they sum to 1.")
    uncalibrated: dict[ClassName, float] | None = Field(default=None, description="As the network gives them.")
    prediction_set: list[ClassName] | None = Field(default=None, description="Classes that cannot be ruled out.")
    abstained: bool | None = Field(default=None, description="The image needs a human reader.")
    abstained_because: str | None = None
    disagreement: float | None = Field(
        default=None,
        description="Disagreement of the model's networks, in nats from 0 to 1.1; null for one network.",
    )
    ood_score: float | None = Field(
        default=None,
        description="How unlike the validation images it is, by the autoencoders' residuals; 0 is their centre.",
    )
    out_of_distribution: bool | None = Field(default=None, description="The score is above the calibrated threshold.")
    meaning: str | None = Field(default=None, description="What the largest probability means, in a sentence.")


class Answers(BaseModel):
    """The answers of one request."""

    model: str = Field(description="Digest of the model that answered.")
    answers: list[FileAnswer] = Field(description="One for each file, in order.")


def answer_from_row(name: str, sha256: str, row: dict[str, Any], meaning: str) -> FileAnswer:
    """Return the answer of `row`, a row of `tasks.package.prediction_schema.SCHEMA`."""
    if row["error"] is not None:
        return FileAnswer(
            name=name, sha256=sha256, error=row["error"], width_px=row["width_px"], height_px=row["height_px"]
        )
    return FileAnswer(
        name=name,
        sha256=sha256,
        width_px=row["width_px"],
        height_px=row["height_px"],
        predicted=row["predicted"],
        probabilities={label: float(row[f"calibrated_{label}"]) for label in CLASSES},
        uncalibrated={label: float(row[f"probability_{label}"]) for label in CLASSES},
        prediction_set=row["prediction_set"],
        abstained=bool(row["abstained"]),
        abstained_because=row["abstained_because"],
        disagreement=row["disagreement"],
        ood_score=float(row["ood_score"]) if math.isfinite(row["ood_score"]) else None,
        out_of_distribution=bool(row["out_of_distribution"]),
        meaning=meaning,
    )
