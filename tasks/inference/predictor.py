"""From image files to prediction rows: decoding, residual tensors, classification, calibration."""

from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from coronet_core.autoencoder.residual_tensor import TFEN
from coronet_core.classifier.coronet import CoroNet
from coronet_core.classifier.ensemble import combined, member_outputs
from coronet_core.classifier.inputs import cin_input
from coronet_core.common.batches import as_image
from coronet_core.data.reading.image import Decode, DecodedImage, decode
from coronet_core.metrics.arrays import Floats
from coronet_core.support.errors import DataError
from tasks.calibrate.predictions import prediction_rows
from tasks.inference.input.image_file import FileContent
from tasks.networks.residual_index import ENERGY_COLUMNS
from tasks.networks.trained_cin import cin_from, design_in
from tasks.networks.trained_tfen import compute_shard, tfen_from
from tasks.package.prediction_schema import SCHEMA, in_unicode, with_reasons
from tasks.package.trained_model import TrainedModel


class Outputs(NamedTuple):
    """What the networks say of n images."""

    logits: Floats
    """(n, 3)."""
    energies: NDArray[np.float64]
    """(n, 3), of the residual tensors."""
    disagreement: NDArray[np.float64] | None
    """(n,), of the CIN's networks in nats; None where it is one."""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Both autoencoders and the CIN of `model`, frozen, on `device`."""

    model: TrainedModel
    tfen: TFEN
    cin: torch.nn.Module
    device: torch.device

    @classmethod
    def of(cls, model: TrainedModel, device: torch.device) -> Self:
        """Load the networks of `model`. Raises WeightsError if the weights do not fit the networks."""
        cin = cin_from(model.cin, model.cin_input, device)
        tfen = tfen_from(model.autoencoders, device, model.residual_scale)
        return cls(model=model, tfen=tfen, cin=cin, device=device)

    @property
    def coronet(self) -> CoroNet:
        """The whole network, from image to probabilities, as the attribution methods take it."""
        return CoroNet(self.tfen, self.cin, design_in(self.model.cin, self.model.cin_input))

    @torch.inference_mode()
    def predict(self, images: NDArray[np.uint8]) -> Outputs:
        """Return what the networks say of `images` (n, H, W)."""
        made = compute_shard(self.tfen, images, self.model.residuals, self.device)
        residuals = self.tfen.scaled_as_stored(made.residuals)
        outputs = torch.cat(list(self._member_outputs(images, residuals)), dim=1)  # (M, n, 3)
        logits, disagreement = combined(outputs)
        return Outputs(logits.numpy(), made.energies, None if disagreement is None else disagreement.numpy())

    def _member_outputs(self, images: NDArray[np.uint8], residuals: NDArray[np.float16]) -> Iterator[Tensor]:
        """Yield the `member_outputs` of each batch, (M, b, 3) float64 on the CPU."""
        for start in range(0, len(images), self.model.batch_size):
            batch = slice(start, start + self.model.batch_size)
            image = as_image(torch.from_numpy(images[batch]).to(self.device))  # (B, 1, H, W)
            residual = torch.from_numpy(residuals[batch]).to(self.device).float()  # (B, 3, H, W)
            inputs = cin_input(self.model.cin_input, image, residual).contiguous(memory_format=torch.channels_last)
            yield member_outputs(self.cin, inputs).double().cpu()


NOT_FINITE = "the network's output is not finite"


@dataclass(frozen=True)
class DecodedFile:
    """A file's image, or the reason why it could not be decoded."""

    path: str
    image: DecodedImage | None
    error: str | None


def predict_files(
    files: Sequence[FileContent], model: TrainedModel, device: torch.device, decode: Decode = decode
) -> pa.Table:
    """Return a row for each of `files`, in order (`prediction_schema.SCHEMA`); unreadable files have an `error`.

    Files from outside are decoded by processes with limits: `decode` is then `Decoders.decode`. By default it is done
    in this process, as other processes need a program whose main module can be imported, and not every user's can.
    """
    return predict_decoded(decode_files(files, model, decode), Networks.of(model, device))


def decode_files(files: Sequence[FileContent], model: TrainedModel, decode: Decode = decode) -> list[DecodedFile]:
    """Decode `files` for `model`, in order, as many at once as torch uses threads."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(partial(_decoded, model=model, decode=decode), files))


def predict_decoded(files: Sequence[DecodedFile], networks: Networks) -> pa.Table:
    """Return a row for each of `files`, in order (`prediction_schema.SCHEMA`)."""
    images = [file.image for file in files if file.image is not None]
    predicted = iter(_predictions(images, networks)) if images else iter(())
    rows: list[dict[Hashable, object]] = []
    for file in files:
        row: dict[Hashable, object] = {"error": file.error} if file.image is None else next(predicted)
        rows.append({"path": in_unicode(file.path), **row})
    return pa.Table.from_pylist(rows, SCHEMA)


def _predictions(images: Sequence[DecodedImage], networks: Networks) -> list[dict[Hashable, object]]:
    """Return the columns of each image's row."""
    logits, energies, differing = networks.predict(np.stack([image.pixels for image in images]))
    calibration = networks.model.calibration
    table = with_reasons(prediction_rows(logits, energies, calibration), calibration)
    table[ENERGY_COLUMNS] = energies
    table["disagreement"] = differing
    rows: list[dict[Hashable, object]] = []
    for image, row, logit in zip(images, table.to_dict("records"), logits, strict=True):
        if np.isfinite(logit).all():
            seen = image.facts
            rows.append({"sha256": image.sha256, "width_px": seen.width_px, "height_px": seen.height_px, **row})
        else:
            rows.append({"error": NOT_FINITE})
    return rows


def _decoded(file: FileContent, model: TrainedModel, decode: Decode) -> DecodedFile:
    if file.error is not None:
        return DecodedFile(file.path, None, file.error)
    try:
        return DecodedFile(file.path, decode(file.content, model.image_size_px, model.aspect, model.reading), None)
    except DataError as error:
        return DecodedFile(file.path, None, str(error))
