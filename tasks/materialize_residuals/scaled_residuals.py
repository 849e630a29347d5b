"""Residual tensors as the CIN reads them, and the file with the scale, which later stages and the package take."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from coronet_core.autoencoder.residual_scale import CHANNELS, ResidualScale, standardised, z_map
from coronet_core.autoencoder.residual_tensor import TFEN
from coronet_core.common.literals import ResidualScaling
from coronet_core.common.shards import Shards, read_array, shard_path, write_shard
from coronet_core.common.weights import save_weights
from tasks.materialize_residuals.residual_shards import ResidualShards
from tasks.networks.trained_tfen import SCALE_KEY
from tasks.runtime.files import digest
from tasks.runtime.paths import RESIDUAL_SCALE, RESIDUALS

AT_ONCE: Final = 256
"""Residual tensors that are read at a time: 77 MB at 224 px."""


def measured_scale(kind: ResidualScaling, shards: ResidualShards, index: pd.DataFrame) -> ResidualScale | None:
    """Return the scale of this `kind`, from the finished `shards` of the images in `index`; None for none."""
    stack = Shards.in_folder(shards.folder)
    is_healthy_validation = (index["split"] == "validation") & (index["label"] == "healthy")
    match kind:
        case "standardised":
            return standardised(_parts(stack, np.flatnonzero(index["split"] == "train")))
        case "z_map":
            return z_map(_parts(stack, np.flatnonzero(is_healthy_validation)))
    return None


def write_scale(kind: ResidualScaling, scale: ResidualScale | None) -> None:
    """Write the file of the scale, which is there for DVC without one too."""
    shape = (CHANNELS, 1, 1)
    save_weights(scale or ResidualScale(torch.zeros(shape), torch.ones(shape)), RESIDUAL_SCALE, {SCALE_KEY: kind})


def scaled_shards(tfen: TFEN, shards: ResidualShards) -> Path:
    """Return a folder with the finished `shards` as the CIN reads them: without a scale their own."""
    if tfen.scale is None:
        return shards.folder
    folder = shards.kept / "scaled" / RESIDUALS.name
    for shard in range(len(shards)):
        write_shard(folder, shard, tfen.scaled_as_stored(np.array(read_array(shard_path(shards.folder, shard)))))
    return folder


def scale_digest(scale: ResidualScale) -> str:
    """Return a digest of a scale: the index has it, by which later stages know other residuals."""
    return digest(scale.offset.numpy().tobytes(), scale.unit.numpy().tobytes())


def _parts(stack: Shards, rows: Sequence[int] | NDArray[np.int64]) -> Iterator[NDArray[np.float16]]:
    places = np.asarray(rows, dtype=np.int64)
    for start in range(0, len(places), AT_ONCE):
        yield stack.take(places[start : start + AT_ONCE])
