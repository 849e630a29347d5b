"""Stage `explain`: attribution maps of chosen test images, by meaningful perturbations (paper sec. 3.4)."""

import hashlib
from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from coronet_core.attribution.perturbation import Perturbation, perturbation_maps
from coronet_core.classes import CLASSES
from coronet_core.models.coronet import CoroNet
from coronet_core.seeds import derive_seed
from coronet_core.shards import Shards, as_image
from tasks.cin import load_coronet
from tasks.files import digest, write_array
from tasks.params import ExplainParams
from tasks.paths import (
    CIN_WEIGHTS,
    EXPLANATION_INDEX,
    EXPLANATION_MAPS,
    EXPLANATIONS,
    IMAGES,
    MANIFEST,
    PREDICTIONS,
    autoencoder_weights,
)
from tasks.progress import Progress, say
from tasks.resume import finish, resume_folder
from tasks.stage import StageContext, use_cpu_threads


def run(context: StageContext) -> None:
    """Explain the prediction of some test images of each class: maps (n, H, W) float32 and an index of them."""
    use_cpu_threads(share=1)
    params, seed = context.params.explain, derive_seed(context.params.seed, "explain")
    coronet = load_coronet(context.params.cin.input, context.device)
    chosen = _chosen(pd.read_parquet(PREDICTIONS), params.images_per_class, seed)
    weights = [autoencoder_weights("healthy"), autoencoder_weights("pneumonia"), CIN_WEIGHTS]
    resume = resume_folder(context.name, digest(params, seed, PREDICTIONS, MANIFEST, *weights))
    parts = []
    n_batches = -(-len(chosen) // params.batch_size)
    with Progress(context.name, n_batches * params.iterations, "iterations") as bar:
        for batch in range(n_batches):
            finished = resume / f"maps-{batch:05d}.npy"
            if finished.is_file():
                bar.advance(params.iterations)
            else:
                members = chosen.iloc[batch * params.batch_size : (batch + 1) * params.batch_size]
                maps = _maps(coronet, members, params, seed, context.device, bar.advance)
                write_array(finished, maps)
            parts.append(np.load(finished))
    folder = resume / EXPLANATIONS.name
    folder.mkdir(exist_ok=True)
    np.save(folder / EXPLANATION_MAPS.name, np.concatenate(parts))
    chosen.to_parquet(folder / EXPLANATION_INDEX.name, index=False)
    finish(resume, folder, EXPLANATIONS)
    context.tracking.artifact(EXPLANATION_MAPS)
    context.tracking.artifact(EXPLANATION_INDEX)
    say(f"{len(chosen)} maps")


def _maps(
    coronet: CoroNet,
    members: pd.DataFrame,
    params: ExplainParams,
    seed: int,
    device: torch.device,
    on_iteration: Callable[[], object],
) -> NDArray[np.float32]:
    """Return the maps (n, H, W) of the images in the rows `members` of the predictions."""
    stored = Shards.in_folder(IMAGES).take(members["stack_row"].to_numpy(dtype=np.int64))
    image = as_image(torch.from_numpy(stored).to(device))  # (n, 1, H, W)
    target = torch.tensor([CLASSES.index(label) for label in members["predicted"]], device=device)
    settings = {field.name: getattr(params, field.name) for field in fields(Perturbation) if field.name != "seed"}
    maps = perturbation_maps(
        lambda x: coronet(x).probabilities, image, target, Perturbation(**settings, seed=seed), on_iteration
    )
    return maps.squeeze(1).cpu().numpy()  # (n, H, W)


def _chosen(predictions: pd.DataFrame, images_per_class: int, seed: int) -> pd.DataFrame:
    """Choose test images of each class at random, the same for the same seed and whatever else is in the split."""
    order = predictions["image_id"].map(lambda image_id: hashlib.sha256(f"{seed}/{image_id}".encode()).hexdigest())
    shuffled = predictions.iloc[np.argsort(order.to_numpy())]
    parts = [shuffled[shuffled["label"] == label].head(images_per_class) for label in CLASSES]
    return pd.concat(parts, ignore_index=True)
