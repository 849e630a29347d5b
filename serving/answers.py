"""What is said of a file, as the API describes it."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from coronet_core.common.classes import CLASSES, ClassName


class FileAnswer(BaseModel):
    """The answer for one file, or the reason why there is none."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="As the client called the file. Only ever shown.")
    error: str | None = Field(default=None, description="Why there is no answer; null if there is one.")
    sha256: str | None = Field(default=None, description="Of the file's bytes.")
    width_px: int | None = Field(default=None, description="Of the image as stored.")
    height_px: int | None = None
    predicted: ClassName | None = Field(default=None, description="The most probable class, abstained from or not.")
    probabilities: dict[ClassName, float] | None = Field(default=None, description="Calibrated; they sum to 1.")
    uncalibrated: dict[ClassName, float] | None = Field(default=None, description="As the network gives them.")
    prediction_set: list[ClassName] | None = Field(default=None, description="Classes that cannot be ruled out.")
    abstained: bool | None = Field(default=None, description="The image should be left to a person.")
    abstained_because: str | None = None
    ood_score: float | None = Field(
        default=None,
        description="How unlike the validation images, as far as their autoencoders tell; 0 is the middle.",
    )
    out_of_distribution: bool | None = Field(default=None, description="Further out than the calibration allows.")
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
        ood_score=float(row["ood_score"]) if math.isfinite(row["ood_score"]) else None,
        out_of_distribution=bool(row["out_of_distribution"]),
        meaning=meaning,
    )
