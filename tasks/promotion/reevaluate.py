"""Evaluating a trained model on the test images of the split in this folder, whatever split it was trained on."""

import hashlib

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from coronet_core.common.literals import Aspect, Reading
from coronet_core.common.manifest import read_manifest
from coronet_core.common.shards import Shards
from coronet_core.data.reading.image import decode
from coronet_core.support.errors import DataError
from tasks.build_split.pseudonym_key import ids_of
from tasks.build_split.sources import list_images
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.inference.predictor import Networks
from tasks.networks.residual_index import class_indices
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import IMAGES, MANIFEST
from tasks.runtime.progress import Progress

Taken = tuple[NDArray[np.bool_], NDArray[np.uint8]]
IMAGES_AT_ONCE = 256
"""Batch size, which bounds memory: the residual tensors of 256 images of 224 px take 77 MB."""


def predict_test_images(
    model: TrainedModel, stored_as: tuple[int, Aspect, Reading], params: Params, device: torch.device
) -> SplitPredictions:
    """Return the predictions of `model` for the test images of the split in this folder.

    `stored_as` is the size, aspect and reading rule of the split's images; `params` names their sources. If `model` has
    other settings, the images are decoded again from the raw sources, as in use: resized shards would make it look
    worse than it is. Images that only the model's own reading rule refuses are left out. Raises DataError if a raw
    image is missing or has changed.
    """
    test = read_manifest(MANIFEST)
    test = test[test["split"] == "test"]
    is_as_stored = stored_as == (model.image_size_px, model.aspect, model.reading)
    images = StoredImages() if is_as_stored else RawImages(params, model, may_refuse=stored_as[2] != model.reading)
    networks, parts, readable = Networks.of(model, device), [], []
    with Progress("champion", len(test), "images") as bar:
        for start in range(0, len(test), IMAGES_AT_ONCE):
            some = test.iloc[start : start + IMAGES_AT_ONCE]
            is_read, pixels = images.take(some)
            if is_read.any():
                parts.append(networks.predict(pixels)[0])
            readable.append(some[is_read])
            bar.advance(len(some))
    test = pd.concat(readable)
    if not parts:
        raise DataError(
            f"no test image can be read by the champion's reading rule {model.reading}. Set data.reading to "
            f"{model.reading}, so that both can be compared."
        )
    return SplitPredictions(images=test, truth=class_indices(test), logits=np.concatenate(parts))


class StoredImages:
    """The stored images of the split."""

    def __init__(self) -> None:
        self._stack = Shards.in_folder(IMAGES)

    def take(self, rows: pd.DataFrame) -> Taken:
        """Return a mask that is true for all `rows` (n,) of the manifest, and their images (n, H, W)."""
        return np.ones(len(rows), dtype=np.bool_), self._stack.take(rows.index.to_numpy(np.int64))


class RawImages:
    """The raw images of the split, decoded again with a model's settings."""

    def __init__(self, params: Params, model: TrainedModel, *, may_refuse: bool) -> None:
        """List the images of the sources in `params`. `may_refuse`: `model` may be unable to read some of them."""
        ids = ids_of(params.data)
        self._records = {ids.image(record): record for record in list_images(params.data, params.seed).records}
        self._model, self._may_refuse = model, may_refuse

    def take(self, rows: pd.DataFrame) -> Taken:
        """Return a mask of the `rows` (n,) of the manifest that the model can read, and their images (m, H, W).

        Raises DataError for an image that is missing or has changed.
        """
        images = [self._decoded(image, sha256) for image, sha256 in rows[["image_id", "sha256"]].to_numpy()]
        read = [image for image in images if image is not None]
        is_read = np.array([image is not None for image in images])
        return is_read, np.stack(read) if read else np.empty((0, 0, 0), dtype=np.uint8)

    def _decoded(self, image: str, sha256: str) -> NDArray[np.uint8] | None:
        model = self._model
        try:
            content = self._records[image].read()
            if hashlib.sha256(content).hexdigest() != sha256:
                raise DataError(f"{image}: its file has changed since the split was built. Bring the split up to date.")
        except (KeyError, OSError) as error:
            raise DataError(self._why(image, error)) from error
        try:
            return decode(content, model.image_size_px, model.aspect, model.reading).pixels
        except DataError as error:
            if self._may_refuse:
                return None
            raise DataError(self._why(image, error)) from error

    def _why(self, image: str, error: Exception) -> str:
        model = self._model
        return (
            f"{image}: the champion needs images of {model.image_size_px} px ({model.aspect}, reading rule "
            f"{model.reading}), but this one cannot be read again: {error}. Restore the raw images in data.root."
        )
