"""What the registered model takes and gives, for MLflow's pages and for whoever calls it."""

import base64
import io
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from PIL import Image

from coronet_core.data.sources.phantom import draw
from tasks.package.prediction_schema import ANSWERS

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

EXAMPLE_SIDE_PX: Final = 96


def signature() -> "ModelSignature":
    """Return the model's signature: an image in any form, and a row of answers, of which a bad image has `error`."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    any_image = ColSpec(AnyType())  # type: ignore[no-untyped-call]
    names = {pa.string(): "string", pa.float64(): "double", pa.bool_(): "boolean", pa.int32(): "integer"}
    outputs = [ColSpec(names[field.type], field.name, required=False) for field in ANSWERS]  # a bad image has `error`
    found = ModelSignature(Schema([any_image]), Schema([*outputs]))
    found._is_signature_from_type_hint = True  # noqa: SLF001  # or MLflow would refuse images outside of a data frame
    return found


def input_example() -> list[str]:
    """Return a phantom as base64 text of a PNG file."""
    pixels, _ = draw(0, "healthy", "example", 0, EXAMPLE_SIDE_PX)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return [base64.b64encode(buffer.getvalue()).decode()]
