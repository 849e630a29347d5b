"""A trained model on the test images of the split in this folder, whatever split it was made with."""

import hashlib

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from coronet_core.common.shards import Shards
from coronet_core.data.manifest import read_manifest
from coronet_core.data.options import Aspect, Reading
from coronet_core.data.reading.image import decode
from coronet_core.support.errors import DataError
from tasks.build_split.pseudonym_key import ids_of
from tasks.build_split.sources import list_images
from tasks.calibrate.cin_outputs import SplitPredictions
from tasks.inference.predictor import Networks
from tasks.networks.residual_inputs import class_indices
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import IMAGES, MANIFEST
from tasks.runtime.progress import Progress

Taken = tuple[NDArray[np.bool_], NDArray[np.uint8]]
IMAGES_AT_ONCE = 256
"""Through the networks; bounds memory: the residual tensors of 256 images of 224 px take 77 MB."""


def answers_on_test_images(
    model: TrainedModel, stored_as: tuple[int, Aspect, Reading], params: Params, device: torch.device
) -> SplitPredictions:
    """Return what `model` says of the test images of the split in this folder.

    `stored_as` is the side of the split's images, how they became square and by which rule they were read; `params`
    names their sources. Where `model` takes them otherwise, they are decoded again from the raw sources, as it would
    see them in use: shards that are resized would make it look worse than it is. Images that its own reading rule
    refuses, and the split's does not, are left out. Raises DataError for an image that is not there as it was.
    """
    test = read_manifest(MANIFEST)
    test = test[test["split"] == "test"]
    is_as_stored = stored_as == (model.image_size_px, model.aspect, model.reading)
    images = StoredImages() if is_as_stored else RawImages(params, model, may_refuse=stored_as[2] != model.reading)
    networks, parts, answered = Networks.of(model, device), [], []
    with Progress("champion", len(test), "images") as bar:
        for start in range(0, len(test), IMAGES_AT_ONCE):
            some = test.iloc[start : start + IMAGES_AT_ONCE]
            is_read, pixels = images.take(some)
            if is_read.any():
                parts.append(networks.answer(pixels)[0])
            answered.append(some[is_read])
            bar.advance(len(some))
    test = pd.concat(answered)
    if not parts:
        raise DataError(
            f"no test image can be read by the champion's rule {model.reading}. Set data.reading to {model.reading}, "
            "so that both can be compared."
        )
    return SplitPredictions(images=test, truth=class_indices(test).numpy(), logits=np.concatenate(parts))


class StoredImages:
    """The images of the split as they are stored."""

    def __init__(self) -> None:
        self._stack = Shards.in_folder(IMAGES)

    def take(self, rows: pd.DataFrame) -> Taken:
        """Return that all of `rows` (n,) of the manifest are there, and their images (n, H, W)."""
        return np.ones(len(rows), dtype=np.bool_), self._stack.take(rows.index.to_numpy(np.int64))


class RawImages:
    """The raw images of the split, decoded again as a model takes them."""

    def __init__(self, params: Params, model: TrainedModel, *, may_refuse: bool) -> None:
        """List the sources that `params` name. `may_refuse` says whether `model` may read fewer images than all."""
        ids = ids_of(params.data)
        self._records = {ids.image(record): record for record in list_images(params.data, params.seed).records}
        self._model, self._may_refuse = model, may_refuse

    def take(self, rows: pd.DataFrame) -> Taken:
        """Return which of `rows` (n,) of the manifest the model reads, and their images (m, H, W).

        Raises DataError for one that is not as it was.
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
            f"{image}: the champion takes images of {model.image_size_px} px ({model.aspect}, reading rule "
            f"{model.reading}), and this one cannot be read again: {error}. Bring the raw images back to data.root."
        )
