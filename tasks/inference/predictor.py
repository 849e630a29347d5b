"""From the bytes of files to rows of answers, by the same code and in the same steps as the stages go.

A file is decoded as `build_split` does it, its residual tensor is rounded to float16 as `materialize_residuals` stores
it, and the CIN's answer is read as `evaluate` reads it. So a test image's file gets the answer of
`reports/predictions.parquet`, to rounding: batches hold other images here.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray

from coronet_core.cin_input import cin_input
from coronet_core.data.image import DecodedImage, decode
from coronet_core.errors import DataError
from coronet_core.metrics.arrays import Floats
from coronet_core.shards import as_image
from tasks.cin import cin_from
from tasks.evaluation.answers import answers
from tasks.inference.files import FileContent
from tasks.inference.model import TrainedModel
from tasks.inference.table import described, prediction_rows
from tasks.residual_shards import compute_shard
from tasks.tfen import tfen_from

NOT_FINITE = "the networks give no finite answer"


def predict_files(files: Sequence[FileContent], model: TrainedModel, device: torch.device) -> pa.Table:
    """Return a row for each of `files`, in order (`table.SCHEMA`); one that cannot be read has the reason.

    Decoding uses as many threads as torch does.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        decoded = list(pool.map(partial(_decoded, model=model), files))
    images = [image.pixels for image in decoded if isinstance(image, DecodedImage)]
    errors = [None if isinstance(image, DecodedImage) else image for image in decoded]
    rows = pd.DataFrame({"path": [file.path for file in files], "error": errors})
    if not images:
        return prediction_rows(rows)
    logits, energies = _through_networks(np.stack(images), model, device)
    told = described(answers(logits, energies, model.calibration), model.calibration)
    told.index = rows.index[rows["error"].isna()]
    for column in ("width_px", "height_px"):
        told[column] = [getattr(image.radiograph, column) for image in decoded if isinstance(image, DecodedImage)]
    is_finite = np.asarray(np.isfinite(logits).all(axis=1), dtype=np.bool_)
    rows.loc[told[~is_finite].index, "error"] = NOT_FINITE
    return prediction_rows(rows.join(told[is_finite]))


def _decoded(file: FileContent, model: TrainedModel) -> DecodedImage | str:
    if file.error is not None:
        return file.error
    try:
        return decode(file.content, model.image_size_px, model.aspect)
    except DataError as error:
        return str(error)


@torch.inference_mode()
def _through_networks(
    images: NDArray[np.uint8], model: TrainedModel, device: torch.device
) -> tuple[Floats, NDArray[np.float64]]:
    """Return logits (n, 3) and residual energies (n, 3) of `images` (n, H, W)."""
    tfen, cin = tfen_from(model.autoencoders, device), cin_from(model.cin, model.cin_input, device)
    made = compute_shard(tfen, images, model.residuals, device)
    parts: list[Any] = []
    for start in range(0, len(images), model.batch_size):
        batch = slice(start, start + model.batch_size)
        image = as_image(torch.from_numpy(images[batch]).to(device))  # (B, 1, H, W)
        residual = torch.from_numpy(made.residuals[batch]).to(device).float()  # (B, 3, H, W)
        inputs = cin_input(model.cin_input, image, residual).contiguous(memory_format=torch.channels_last)
        parts.append(cin(inputs).double().cpu().numpy())
    return np.concatenate(parts), made.energies
