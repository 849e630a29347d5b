"""Stage `explain`: attribution maps of chosen test images, by meaningful perturbations (paper sec. 3.4)."""

import hashlib
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch

from coronet_core.attribution.perturbation import Perturbation, perturbation_maps
from coronet_core.classes import CLASSES
from coronet_core.models.coronet import CoroNet
from coronet_core.seeds import derive_seed
from coronet_core.shards import Shards, as_image
from tasks.cin import load_cin
from tasks.files import digest, publish_folder
from tasks.paths import EXPLANATION_INDEX, EXPLANATION_MAPS, EXPLANATIONS, IMAGES, PREDICTIONS
from tasks.progress import Progress, say
from tasks.resume import discard, resume_folder
from tasks.stage import StageContext, use_cpu_threads
from tasks.tfen import load_tfen


def run(context: StageContext) -> None:
    """Explain the prediction of some test images of each class: maps (n, H, W) float32 and an index of them."""
    use_cpu_threads(share=1)
    params, seed, device = context.params.explain, derive_seed(context.params.seed, "explain"), context.device
    coronet = CoroNet(load_tfen(device), load_cin(device))
    chosen = _chosen(pd.read_parquet(PREDICTIONS), params.images_per_class, seed)
    stored = Shards.in_folder(IMAGES).take(chosen["stack_row"].to_numpy(dtype=np.int64))
    image = as_image(torch.from_numpy(stored).to(device))  # (n, 1, H, W)
    target = torch.tensor([CLASSES.index(label) for label in chosen["predicted"]], device=device)
    settings = {key: value for key, value in asdict(params).items() if key != "images_per_class"}
    with Progress(context.name, params.iterations, "iterations") as bar:
        maps = perturbation_maps(
            lambda x: coronet(x).probabilities, image, target, Perturbation(**settings, seed=seed), bar.advance
        )
    resume = resume_folder(context.name, digest(params, seed))
    folder = resume / EXPLANATIONS.name
    folder.mkdir(exist_ok=True)
    np.save(folder / EXPLANATION_MAPS.name, maps.squeeze(1).cpu().numpy())
    chosen.to_parquet(folder / EXPLANATION_INDEX.name, index=False)
    publish_folder(folder, EXPLANATIONS)
    discard(resume)
    context.tracking.artifact(EXPLANATION_MAPS)
    context.tracking.artifact(EXPLANATION_INDEX)
    say(f"{len(chosen)} maps")


def _chosen(predictions: pd.DataFrame, images_per_class: int, seed: int) -> pd.DataFrame:
    """Choose test images of each class at random, the same for the same seed and whatever else is in the split."""
    order = predictions["image_id"].map(lambda image_id: hashlib.sha256(f"{seed}/{image_id}".encode()).hexdigest())
    shuffled = predictions.iloc[np.argsort(order.to_numpy())]
    parts = [shuffled[shuffled["label"] == label].head(images_per_class) for label in CLASSES]
    return pd.concat(parts, ignore_index=True)
