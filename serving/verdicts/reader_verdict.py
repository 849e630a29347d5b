"""A reader's verdict on one image, with the answer of the model, which the reader may have seen before."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from coronet_core.common.classes import ClassName
from coronet_core.data.file_names import relative_path
from coronet_core.data.sources.reader_verdicts import Verdict
from coronet_core.support.errors import DataError
from tasks.runtime.safe_text.identifiers import SHA256
from tasks.runtime.safe_text.spreadsheet import spreadsheet_cell, spreadsheet_path

COLUMNS: Final = (
    *("file", "label", "reader", "note", "read_at", "sha256"),
    *("model", "predicted", "probability", "prediction_set", "out_of_distribution", "blinded"),
    *("challenger", "challenger_predicted"),
)
"""Of the table. Those before `model` are what the source `image_folder` takes."""

Digest = Annotated[str, Field(pattern=SHA256)]


class ReaderVerdict(BaseModel):
    """What a reader says of an image, and what the model said of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    file: Annotated[str, Field(min_length=1, max_length=255, description="The image's file name.")]
    sha256: Annotated[Digest, Field(description="Of the file's bytes, as in the prediction.")]
    label: Annotated[Verdict, Field(description="A class, or not_readable.")]
    reader: Annotated[str, Field(max_length=80, description="Initials or a name; may be empty.")] = ""
    note: Annotated[str, Field(max_length=1000)] = ""
    model: Annotated[Digest, Field(description="Of the model that predicted.")]
    predicted: ClassName
    probability: Annotated[float, Field(ge=0, le=1, description="Of the predicted class, calibrated.")]
    prediction_set: Annotated[list[ClassName], Field(max_length=3)]
    out_of_distribution: bool
    blinded: Annotated[bool, Field(description="Whether the reader decided before seeing the model's answer.")] = False
    challenger: Annotated[Digest | None, Field(description="Of the model that was compared, if one was.")] = None
    challenger_predicted: ClassName | None = None

    @field_validator("file")
    @classmethod
    def _below_a_folder(cls, name: str) -> str:
        try:
            return relative_path(name, "file")
        except DataError as error:
            raise ValueError(str(error)) from error

    def row(self, read_at: str) -> list[str]:
        """Return the cells of the table's row, of which a spreadsheet computes none. `read_at` is in ISO 8601, UTC."""
        return [
            spreadsheet_path(_one_line(self.file)),
            self.label,
            spreadsheet_cell(_one_line(self.reader)),
            spreadsheet_cell(_one_line(self.note)),
            read_at,
            self.sha256,
            self.model,
            self.predicted,
            f"{self.probability:.4f}",
            " ".join(self.prediction_set),
            str(self.out_of_distribution).lower(),
            str(self.blinded).lower(),
            self.challenger or "",
            self.challenger_predicted or "",
        ]


def _one_line(text: str) -> str:
    return "".join(one for one in " ".join(text.split()) if one.isprintable())
