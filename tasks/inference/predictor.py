"""From the bytes of files to rows of answers, by the same code and in the same steps as the stages go.

A file is decoded as `build_split` does it, its residual tensor is rounded to float16 as `materialize_residuals` stores
it, and the CIN's answer is read as `evaluate` reads it. So a test image's file gets the answer of
`reports/predictions.parquet`, to rounding: batches hold other images here.
"""

from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import torch

from coronet_core.data.reading.image import DecodedImage, decode
from coronet_core.support.errors import DataError
from tasks.calibrate.predictions import answers
from tasks.inference.input.image_file import FileContent
from tasks.inference.networks import Networks
from tasks.networks.residual_index import ENERGY_COLUMNS
from tasks.package.prediction_schema import SCHEMA, described, in_unicode
from tasks.package.trained_model import TrainedModel

NOT_FINITE = "the networks give no finite answer"


@dataclass(frozen=True)
class DecodedFile:
    """A file as the networks take it, or why they cannot."""

    path: str
    image: DecodedImage | None
    error: str | None


def predict_files(files: Sequence[FileContent], model: TrainedModel, device: torch.device) -> pa.Table:
    """Return a row for each of `files`, in order (`table.SCHEMA`); one that cannot be read has the reason."""
    return predict_decoded(decode_files(files, model), Networks.of(model, device))


def decode_files(files: Sequence[FileContent], model: TrainedModel) -> list[DecodedFile]:
    """Decode `files`, in order, for `model`; with as many threads as torch uses."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(partial(_decoded, model=model), files))


def predict_decoded(files: Sequence[DecodedFile], networks: Networks) -> pa.Table:
    """Return a row for each of `files`, in order (`table.SCHEMA`)."""
    images = [file.image for file in files if file.image is not None]
    answered = iter(_answers(images, networks)) if images else iter(())
    rows: list[dict[Hashable, object]] = []
    for file in files:
        answer: dict[Hashable, object] = {"error": file.error} if file.image is None else next(answered)
        rows.append({"path": in_unicode(file.path), **answer})
    return pa.Table.from_pylist(rows, SCHEMA)


def _answers(images: Sequence[DecodedImage], networks: Networks) -> list[dict[Hashable, object]]:
    """Return the columns of each image's row."""
    logits, energies = networks.answer(np.stack([image.pixels for image in images]))
    calibration = networks.model.calibration
    table = described(answers(logits, energies, calibration), calibration)
    table[ENERGY_COLUMNS] = energies
    rows: list[dict[Hashable, object]] = []
    for image, row, logit in zip(images, table.to_dict("records"), logits, strict=True):
        if np.isfinite(logit).all():
            seen = image.radiograph
            rows.append({"sha256": image.sha256, "width_px": seen.width_px, "height_px": seen.height_px, **row})
        else:
            rows.append({"error": NOT_FINITE})
    return rows


def _decoded(file: FileContent, model: TrainedModel) -> DecodedFile:
    if file.error is not None:
        return DecodedFile(file.path, None, file.error)
    try:
        return DecodedFile(file.path, decode(file.content, model.image_size_px, model.aspect, model.reading), None)
    except DataError as error:
        return DecodedFile(file.path, None, str(error))
