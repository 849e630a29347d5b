"""A trained model on the test images of the split in this folder, whatever split it was made with."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from coronet_core.data.image import decode
from coronet_core.data.manifest import read_manifest
from coronet_core.data.options import Aspect
from coronet_core.errors import DataError
from coronet_core.shards import Shards
from tasks.cin_data import class_indices
from tasks.evaluation.prediction import SplitPredictions
from tasks.inference.model import TrainedModel
from tasks.inference.networks import Networks
from tasks.params.schema import Params
from tasks.paths import IMAGES, MANIFEST
from tasks.progress import Progress
from tasks.splitting.sources import ids_of, list_images

IMAGES_AT_ONCE = 256
"""Through the networks; bounds memory: the residual tensors of 256 images of 224 px take 77 MB."""


def answers_on_test_images(
    model: TrainedModel, stored_as: tuple[int, Aspect], params: Params, device: torch.device
) -> SplitPredictions:
    """Return what `model` says of the test images of the split in this folder.

    `stored_as` is the side of the split's images and how they became square, `params` names their sources. Where
    `model` takes images of another size or aspect than the split's, they are decoded again from the raw sources, as
    it would see them in use: shards that are resized would make it look worse than it is. Raises DataError for an
    image that cannot be read again.
    """
    test = read_manifest(MANIFEST)
    test = test[test["split"] == "test"]
    is_as_stored = stored_as == (model.image_size_px, model.aspect)
    images = StoredImages() if is_as_stored else RawImages(params, model)
    networks, parts = Networks.of(model, device), []
    with Progress("champion", len(test), "images") as bar:
        for start in range(0, len(test), IMAGES_AT_ONCE):
            some = test.iloc[start : start + IMAGES_AT_ONCE]
            parts.append(networks.answer(images.take(some))[0])
            bar.advance(len(some))
    return SplitPredictions(images=test, truth=class_indices(test).numpy(), logits=np.concatenate(parts))


class StoredImages:
    """The images of the split as they are stored."""

    def __init__(self) -> None:
        self._stack = Shards.in_folder(IMAGES)

    def take(self, rows: pd.DataFrame) -> NDArray[np.uint8]:
        """Return the images (n, H, W) of `rows` of the manifest."""
        return self._stack.take(rows.index.to_numpy(np.int64))


class RawImages:
    """The raw images of the split, decoded again as a model takes them."""

    def __init__(self, params: Params, model: TrainedModel) -> None:
        """List the sources that `params` name."""
        ids = ids_of(params.data)
        self._records = {ids.image(record): record for record in list_images(params.data, params.seed).records}
        self._model = model

    def take(self, rows: pd.DataFrame) -> NDArray[np.uint8]:
        """Return the images (n, H, W) of `rows` of the manifest. Raises DataError for one that is not as it was."""
        return np.stack([self._decoded(image, sha256) for image, sha256 in rows[["image_id", "sha256"]].to_numpy()])

    def _decoded(self, image: str, sha256: str) -> NDArray[np.uint8]:
        side_px, aspect = self._model.image_size_px, self._model.aspect
        try:
            decoded = decode(self._records[image].read(), side_px, aspect)
        except (KeyError, OSError, DataError) as error:
            raise DataError(
                f"{image}: the champion takes images of {side_px} px ({aspect}), and this one cannot be read again: "
                f"{error}. Bring the raw images back to data.root."
            ) from error
        if decoded.sha256 != sha256:
            raise DataError(f"{image}: its file has changed since the split was built. Bring the split up to date.")
        return decoded.pixels
