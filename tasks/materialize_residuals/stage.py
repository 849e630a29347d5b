"""Stage `materialize_residuals`: all images through both autoencoders, residual tensors out as float16 shards."""

import pandas as pd

from coronet_core.common.manifest import read_manifest
from coronet_core.support.tables import write_frame
from tasks.materialize_residuals.residual_shards import ResidualShards
from tasks.materialize_residuals.scaled_residuals import measured_scale, scale_digest, scaled_shards, write_scale
from tasks.networks.residual_index import ENERGY_COLUMNS
from tasks.networks.trained_tfen import compute_shard, load_autoencoders
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.paths import MANIFEST, RESIDUAL_INDEX, RESIDUALS
from tasks.runtime.progress import Progress, log
from tasks.runtime.resume import finish
from tasks.runtime.stage_context import StageContext


def run(context: StageContext) -> None:
    """Write residual tensors as the CIN reads them, their index in the order of the image stack, and their scale."""
    use_cpu_threads(share=1)
    params, device = context.params.residuals, context.device
    tfen = load_autoencoders(device)
    manifest = read_manifest(MANIFEST)
    shards = ResidualShards.of_project(params)
    if kept := len(shards) - len(shards.missing()):
        log(f"resuming with {kept} of {len(shards)} shards")
    with Progress(context.name, len(manifest), "images") as bar:
        for shard in range(len(shards)):
            if not shards.is_kept(shard):
                shards.keep(shard, compute_shard(tfen, shards.images_of(shard), params, device))
            bar.advance(shards.images_in(shard))
    index = manifest[["image_id", "patient_id", "label", "split"]].copy()
    index[ENERGY_COLUMNS] = shards.energies()
    tfen.scale = measured_scale(params.scale, shards, index)
    write_scale(params.scale, tfen.scale)
    if tfen.scale is not None:
        index["scale"] = scale_digest(tfen.scale)
    folder = scaled_shards(tfen, shards)
    write_frame(index, folder / RESIDUAL_INDEX.name)
    finish(shards.kept, folder, RESIDUALS)
    _tell(context, index)


def _tell(context: StageContext, index: pd.DataFrame) -> None:
    context.tracking.artifact(RESIDUAL_INDEX)
    for label, energy in index.groupby("label")[ENERGY_COLUMNS].mean().iterrows():
        context.tracking.metrics({f"{column}_{label}": float(energy[column]) for column in ENERGY_COLUMNS})
        log(f"{label}: mean residual " + ", ".join(f"{energy[column]:.5f}" for column in ENERGY_COLUMNS))
