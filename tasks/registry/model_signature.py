"""The signature of a registered model, and an example of its input."""

import base64
import io
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from PIL import Image

from coronet_core.data.sources.phantom import draw
from tasks.package.prediction_schema import PREDICTION_FIELDS

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

EXAMPLE_SIDE_PX: Final = 96


def signature() -> "ModelSignature":
    """Return the model's signature: an image in any form, and a prediction row; unreadable images have an `error`."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    any_image = ColSpec(AnyType())  # type: ignore[no-untyped-call]
    names = {pa.string(): "string", pa.float64(): "double", pa.bool_(): "boolean", pa.int32(): "integer"}
    outputs = [ColSpec(names[field.type], field.name, required=False) for field in PREDICTION_FIELDS]
    found = ModelSignature(Schema([any_image]), Schema([*outputs]))
    found._is_signature_from_type_hint = True  # noqa: SLF001  # or MLflow refuses images outside a data frame
    return found


def input_example() -> list[str]:
    """Return a phantom as base64 text of a PNG file."""
    pixels, _ = draw(0, "healthy", "example", 0, EXAMPLE_SIDE_PX)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return [base64.b64encode(buffer.getvalue()).decode()]
