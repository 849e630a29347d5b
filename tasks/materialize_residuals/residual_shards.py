"""The shards of residual tensors: those that are finished are kept in the resume folder of `materialize_residuals`.

The stage resumes from it, and its outputs are the same whichever run computed a shard.
"""

from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.shards import Shards, shard_path, write_shard
from coronet_core.support.whole_files import sha256_of
from tasks.networks.trained_tfen import ResidualShard
from tasks.runtime.files import digest
from tasks.runtime.params.schema import ResidualParams
from tasks.runtime.paths import IMAGES, MANIFEST, RESIDUALS, autoencoder_weights
from tasks.runtime.resume import keep_arrays, read_kept_arrays, resume_folder, set_aside

STAGE: Final = "materialize_residuals"


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
        found = {shard: self._found(shard) for shard in range(len(self._starts))}
        self._energies = {shard: energies for shard, energies in found.items() if energies is not None}

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
        return shard in self._energies

    def keep(self, shard: int, made: ResidualShard) -> None:
        """Keep a finished shard, whole or not at all."""
        path = write_shard(self.folder, shard, made.residuals)
        note = {"energies": made.energies, "sha256": np.array(sha256_of(path))}
        keep_arrays(self._note(shard), note)  # behind the shard: it says that the shard is whole
        self._energies[shard] = made.energies

    def energies(self) -> NDArray[np.float64]:
        """Return the energies (n, 3) of all images; every shard must be kept."""
        return np.concatenate([self._energies[shard] for shard in range(len(self))])

    def _found(self, shard: int) -> NDArray[np.float64] | None:
        """Return the energies (n, 3) of a shard that an earlier run has kept; None if it is not there as it was."""
        note, path = read_kept_arrays(self._note(shard)), shard_path(self.folder, shard)
        if note is None or not path.is_file():
            return None
        if sha256_of(path) != str(note["sha256"]):
            set_aside(path, self.kept)  # not among the outs
            return None
        return note["energies"]

    def _note(self, shard: int) -> Path:
        return self.kept / f"energies-{shard:05d}.npz"
