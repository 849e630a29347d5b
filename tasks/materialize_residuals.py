"""Stage `materialize_residuals`: all images through both autoencoders, residual tensors out as float16 shards."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from coronet_core.data.manifest import read_manifest
from coronet_core.models.tfen import TFEN
from coronet_core.residuals import residuals_of
from coronet_core.shards import Shards, as_image, write_shard
from tasks.files import digest, write_array
from tasks.params.schema import ResidualParams
from tasks.paths import IMAGES, MANIFEST, RESIDUAL_INDEX, RESIDUALS, autoencoder_weights
from tasks.progress import Progress, say
from tasks.residual_index import ENERGY_COLUMNS
from tasks.resume import finish, resume_folder
from tasks.stage import StageContext, use_cpu_threads
from tasks.tfen import load_tfen


def run(context: StageContext) -> None:
    """Write residual tensors and their index, in the order of the image stack."""
    use_cpu_threads(share=1)
    params, device = context.params.residuals, context.device
    tfen = load_tfen(device)
    manifest = read_manifest(MANIFEST)
    images = Shards.in_folder(IMAGES)
    weights = [autoencoder_weights("healthy"), autoencoder_weights("pneumonia")]
    resume = resume_folder(context.name, digest(params, MANIFEST, images.row_shape, *weights))
    folder = resume / RESIDUALS.name
    energies = []
    with Progress(context.name, len(images), "images") as bar:
        for shard, start in enumerate(range(0, len(images), params.shard_images)):
            rows = np.arange(start, min(start + params.shard_images, len(images)), dtype=np.int64)
            finished = resume / f"energies-{shard:05d}.npy"
            if not finished.is_file():
                residuals = _residuals(tfen, images, rows, params, device)
                write_shard(folder, shard, residuals)
                energy = residuals.mean(axis=(2, 3), dtype=np.float64)  # (n, 3)
                write_array(finished, energy)
            energies.append(np.load(finished))
            bar.advance(len(rows))
    index = manifest[["image_id", "patient_id", "label", "split"]].copy()
    index[ENERGY_COLUMNS] = np.concatenate(energies)
    index.to_parquet(folder / RESIDUAL_INDEX.name)
    finish(resume, folder, RESIDUALS)
    _tell(context, index)


def _residuals(
    tfen: TFEN, images: Shards, rows: NDArray[np.int64], params: ResidualParams, device: torch.device
) -> NDArray[np.float16]:
    residuals = np.empty((len(rows), 3, *images.row_shape), dtype=np.float16)
    for start in range(0, len(rows), params.batch_size):
        stored = torch.from_numpy(images.take(rows[start : start + params.batch_size])).to(device)
        residual = residuals_of(tfen, as_image(stored), params.precision)  # (B, 3, H, W)
        residuals[start : start + len(residual)] = residual.cpu().numpy()
    return residuals


def _tell(context: StageContext, index: pd.DataFrame) -> None:
    context.tracking.artifact(RESIDUAL_INDEX)
    for label, energy in index.groupby("label")[ENERGY_COLUMNS].mean().iterrows():
        context.tracking.metrics({f"{column}_{label}": float(energy[column]) for column in ENERGY_COLUMNS})
        say(f"{label}: mean residual " + ", ".join(f"{energy[column]:.5f}" for column in ENERGY_COLUMNS))
