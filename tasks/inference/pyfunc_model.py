"""The registered model: a package behind MLflow's `predict`. MLflow runs this file to load the model.

It takes one image or several, in any form that `input.in_memory` reads: in a list, in the column `image` of a data
frame, or as a stack of arrays (n, H, W). An array of shape (H, W), (H, W, 3) or (H, W, 4) is one image.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, no_type_check

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from tasks.inference.input.in_memory import content_of
from tasks.inference.predictor import predict_files
from tasks.package.package_folder import read_package
from tasks.package.prediction_schema import PREDICTION_FIELDS
from tasks.registry.model_name import IMAGE_COLUMN, PACKAGE_ARTIFACT, READ_PATHS


class PackagePredictor:
    """The methods that MLflow calls. Not a PythonModel itself, which would wrap `predict` and refuse bare images."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the package; an incomplete one is refused."""
        self._model = read_package(Path(context.artifacts[PACKAGE_ARTIFACT]))
        self._reads_paths = bool((context.model_config or {}).get(READ_PATHS, False))

    @no_type_check  # MLflow would derive the signature from the hints, which cannot express it
    def predict(self, context: PythonModelContext, model_input: Any) -> pd.DataFrame:  # noqa: ARG002
        """Return a row for each image with the columns `PREDICTION_FIELDS`; unreadable images have an `error`."""
        images = [
            content_of(value, str(number), reads_paths=self._reads_paths)
            for number, value in enumerate(_images(model_input))
        ]
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        names = [field.name for field in PREDICTION_FIELDS]
        rows = predict_files(images, self._model, device).select(names).to_pylist()
        return pd.DataFrame(rows, columns=names, dtype=object)  # as objects, so that missing values stay None


class CoroNetModel(PackagePredictor, PythonModel):
    """The whole CoroNet as an MLflow model."""


def _images(given: Any) -> list[Any]:
    """Return the images in MLflow's input as a list."""
    if isinstance(given, pd.DataFrame):
        columns = [IMAGE_COLUMN] if IMAGE_COLUMN in given.columns else list(given.columns[:1])
        return [image for column in columns for image in given[column]]
    if isinstance(given, Mapping) and IMAGE_COLUMN in given:
        given = given[IMAGE_COLUMN]
    if isinstance(given, np.ndarray):
        is_one = given.dtype != object and (given.ndim < 3 or (given.ndim == 3 and given.shape[2] in (3, 4)))  # noqa: PLR2004
        return [given] if is_one else list(given)
    if isinstance(given, pd.Series | list | tuple):
        return [one[IMAGE_COLUMN] if isinstance(one, Mapping) and IMAGE_COLUMN in one else one for one in given]
    return [given]


mlflow.models.set_model(CoroNetModel())
