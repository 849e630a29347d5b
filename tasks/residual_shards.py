"""The work of `materialize_residuals`, cut into shards that can be computed apart from each other and from this folder.

A shard is made from its uint8 images and both autoencoders alone, wherever that is done. What is finished is kept in
the stage's resume folder, from which the stage goes on: its outs are the same, whoever computed which shard.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from coronet_core.models.tfen import TFEN
from coronet_core.residuals import stored_residuals
from coronet_core.shards import Shards, write_shard
from tasks.files import digest, write_array
from tasks.params.schema import ResidualParams
from tasks.paths import IMAGES, MANIFEST, RESIDUALS, autoencoder_weights
from tasks.resume import resume_folder

STAGE: Final = "materialize_residuals"


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


class ResidualShards:
    """All shards of a run: those that are kept, and the images of those still to be computed."""

    def __init__(self, kept: Path, images: Shards, shard_images: int) -> None:
        """`kept` is the folder for finished shards, `images` the stack of uint8 images (n, H, W)."""
        self.kept = kept
        self.folder: Final = kept / RESIDUALS.name
        """The finished shards as the stage publishes them."""
        self._images = images
        self._shard_images = shard_images
        self._starts = range(0, len(images), shard_images)

    @classmethod
    def of_project(cls, params: ResidualParams) -> Self:
        """Return the shards of the project in the current folder. What is kept of other work is deleted."""
        images = Shards.in_folder(IMAGES)
        weights = [autoencoder_weights("healthy"), autoencoder_weights("pneumonia")]
        kept = resume_folder(STAGE, digest(params, MANIFEST, images.row_shape, *weights))
        return cls(kept, images, params.shard_images)

    def __len__(self) -> int:
        return len(self._starts)

    def images_in(self, shard: int) -> int:
        """Return the number of images in a shard."""
        start = self._starts[shard]
        return min(self._shard_images, len(self._images) - start)

    def images_of(self, shard: int) -> NDArray[np.uint8]:
        """Return the images (n, H, W) of a shard."""
        start = self._starts[shard]
        return self._images.take(np.arange(start, start + self.images_in(shard), dtype=np.int64))

    def missing(self) -> list[int]:
        """Return the shards that are still to be computed."""
        return [shard for shard in range(len(self)) if not self.is_kept(shard)]

    def is_kept(self, shard: int) -> bool:
        """Say whether a shard is finished."""
        return self._finished(shard).is_file()

    def keep(self, shard: int, made: ResidualShard) -> None:
        """Keep a finished shard, whole or not at all."""
        write_shard(self.folder, shard, made.residuals)
        write_array(self._finished(shard), made.energies)  # behind it: says that the shard is whole

    def energies(self) -> NDArray[np.float64]:
        """Return the energies (n, 3) of all images; every shard must be kept."""
        return np.concatenate([np.load(self._finished(shard)) for shard in range(len(self))])

    def _finished(self, shard: int) -> Path:
        return self.kept / f"energies-{shard:05d}.npy"
