"""The trained TFEN, as the stages behind training take it: from its files, frozen, on a device; and its residuals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from coronet_core.autoencoder.architecture import architecture_of
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_scale import ResidualScale, scale_from
from coronet_core.autoencoder.residual_tensor import TFEN, freeze, stored_residuals
from coronet_core.common.classes import ClassName
from coronet_core.common.weights import (
    load_weights,
    load_weights_from,
    read_metadata,
    read_metadata_from,
    read_weights,
    read_weights_from,
)
from tasks.runtime.params.schema import ResidualParams
from tasks.runtime.paths import RESIDUAL_SCALE, autoencoder_weights

SCALE_KEY: Final = "residuals.scale"
"""What the metadata of the file call the kind of the scale."""
NO_SCALE: Final = "none"


def load_scale() -> ResidualScale | None:
    """Load the scale of the project in the current folder; None if it has none, as before there were scales."""
    if not RESIDUAL_SCALE.is_file() or read_metadata(RESIDUAL_SCALE).get(SCALE_KEY) == NO_SCALE:
        return None
    return scale_from(read_weights(RESIDUAL_SCALE), str(RESIDUAL_SCALE))


def scale_of_file(content: bytes, side_px: int | None = None) -> ResidualScale:
    """Load a scale from the content of its file, for images of `side_px`. Raises WeightsError if it is none."""
    return scale_from(read_weights_from(content, RESIDUAL_SCALE.name), RESIDUAL_SCALE.name, side_px)


def load_tfen(device: torch.device) -> TFEN:
    """Load both autoencoders, and the scale of their residuals."""
    return _frozen(_loaded("healthy"), _loaded("pneumonia"), load_scale(), device)


def load_autoencoders(device: torch.device) -> TFEN:
    """Load both autoencoders without a scale, which is measured on their residuals."""
    return _frozen(_loaded("healthy"), _loaded("pneumonia"), None, device)


def tfen_from(files: Mapping[ClassName, bytes], device: torch.device, scale: bytes | None = None) -> TFEN:
    """Load both autoencoders, and a `scale`, from the content of their files: where needed, the files need not be."""
    healthy, pneumonia = (
        autoencoder_from(files[label], autoencoder_weights(label).name) for label in ("healthy", "pneumonia")
    )
    return _frozen(healthy, pneumonia, None if scale is None else scale_of_file(scale), device)


def untrained_autoencoder(content: bytes, name: str) -> FPAE:
    """Return an autoencoder of the architecture that the weights in `content` of the file `name` are for.

    Raises WeightsError if its metadata describe none.
    """
    return FPAE("pyramid", architecture_of(read_metadata_from(content, name), name))


def autoencoder_from(content: bytes, name: str) -> FPAE:
    """Load an autoencoder from the `content` of its file `name`."""
    autoencoder = untrained_autoencoder(content, name)
    load_weights_from(autoencoder, content, name)
    return autoencoder


def _loaded(label: ClassName) -> FPAE:
    path = autoencoder_weights(label)
    autoencoder = FPAE("pyramid", architecture_of(read_metadata(path), str(path)))
    load_weights(autoencoder, path)
    return autoencoder


def _frozen(healthy: FPAE, pneumonia: FPAE, scale: ResidualScale | None, device: torch.device) -> TFEN:
    tfen = TFEN(healthy, pneumonia, scale)
    freeze(tfen, device)
    return tfen


@dataclass(frozen=True)
class ResidualShard:
    """Residual tensors of some images, as they are stored."""

    residuals: NDArray[np.float16]
    """(n, 3, H, W), eq. (5)-(7)."""
    energies: NDArray[np.float64]
    """Mean of each channel over the image, (n, 3), of the residuals as stored."""


def compute_shard(tfen: TFEN, images: NDArray[np.uint8], params: ResidualParams, device: torch.device) -> ResidualShard:
    """Compute the residual tensors of `images` (n, H, W) with `tfen`, which is on `device`.

    A shard is made of its images and both autoencoders alone, so it may be computed on another host. The last bits
    depend on `params.batch_size`, on the device and on torch's number of threads.
    """
    residuals = stored_residuals(tfen, images, params.batch_size, params.precision, device)
    return ResidualShard(residuals, residuals.mean(axis=(2, 3), dtype=np.float64))
