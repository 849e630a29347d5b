"""The work of `materialize_residuals`, cut into shards that can be computed apart from each other and from this folder.

A shard is made from its uint8 images and both autoencoders alone, wherever that is done.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from coronet_core.autoencoder.residual_tensor import TFEN, stored_residuals
from tasks.runtime.params.schema import ResidualParams


@dataclass(frozen=True)
class ResidualShard:
    """Residual tensors of some images, as they are stored."""

    residuals: NDArray[np.float16]
    """(n, 3, H, W), eq. (5)-(7)."""
    energies: NDArray[np.float64]
    """Mean of each channel over the image, (n, 3), of the residuals as stored."""


def compute_shard(tfen: TFEN, images: NDArray[np.uint8], params: ResidualParams, device: torch.device) -> ResidualShard:
    """Compute the residual tensors of `images` (n, H, W) with `tfen`, which is on `device`.

    The last bits depend on `params.batch_size`, on the device and on torch's number of threads.
    """
    residuals = stored_residuals(tfen, images, params.batch_size, params.precision, device)
    return ResidualShard(residuals, residuals.mean(axis=(2, 3), dtype=np.float64))
