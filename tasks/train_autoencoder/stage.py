"""Stage `train_autoencoder`: the images of one class in, the weights of its autoencoder out."""

from functools import partial
from pathlib import Path

import pandas as pd
import torch

from coronet_core.autoencoder.architecture import Architecture, metadata_of
from coronet_core.autoencoder.corruption import Corruption
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.fpae_learner import autoencoder_learner
from coronet_core.autoencoder.pretrained import load_pretrained
from coronet_core.common.batches import Subset
from coronet_core.common.classes import FOR_AUTOENCODERS, ClassName, SplitName
from coronet_core.common.literals import PRECISION_KEY
from coronet_core.common.manifest import read_manifest
from coronet_core.common.seeds import derive_seed
from coronet_core.common.shards import Shards
from coronet_core.learning.loop import Schedule
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import digest
from tasks.runtime.params.schema import AutoencoderParams
from tasks.runtime.paths import IMAGES, MANIFEST, autoencoder_history, autoencoder_weights
from tasks.runtime.resume import resume_folder
from tasks.runtime.stage_context import StageContext
from tasks.training.training_run import publish, train


def images_of(split: SplitName, label: ClassName, device: torch.device) -> Subset:
    """Return the uint8 images (n, H, W) of one class in one split; `train` has those for the autoencoders too."""
    manifest = read_manifest(MANIFEST)
    splits = [split, FOR_AUTOENCODERS] if split == "train" else [split]
    rows = manifest.index[manifest["split"].isin(splits) & (manifest["label"] == label)]
    return Subset(Shards.in_folder(IMAGES), rows, device)


def run(context: StageContext, label: ClassName) -> None:
    """Train AE_H (`healthy`) or AE_P (`pneumonia`)."""
    use_cpu_threads(share=2)  # the other autoencoder has the other half
    params, device = context.params.autoencoder, context.device
    seed = derive_seed(context.params.seed, "autoencoder", label)
    torch.manual_seed(seed)  # initial weights
    autoencoder = FPAE(params.latent, _architecture(params))
    given = [] if params.pretrained is None else [Path(params.pretrained.of(label))]  # a name says nothing of content
    for path in given:
        load_pretrained(autoencoder, path)
    learner_with = partial(
        autoencoder_learner,
        autoencoder,
        images_of("train", label, device),
        images_of("validation", label, device),
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        regulariser_weight=params.regulariser_weight,
        batch_size=params.batch_size,
        training_size_px=params.training_size_px,
        ssim_weight=params.ssim_weight,
        corruption=_corruption(params),
        ranks=context.distributed.ranks,
    )
    schedule = Schedule(
        epochs=params.epochs,
        batch_size=params.batch_size,
        epoch_fraction=params.epoch_fraction,
        best_by=params.best_by,
        patience_epochs=params.patience_epochs,
        seed=seed,
        validates_start=params.epochs == 0,
    )
    work = digest(label, params, seed, context.params.data.image_size_px, MANIFEST, *given)
    folder = resume_folder(context.name, work) if context.distributed.ranks.leads else None
    trained = train(context, learner_with, params.precision, schedule, folder)
    if folder is not None:
        weights, history = autoencoder_weights(label), autoencoder_history(label)
        metadata = {PRECISION_KEY: trained.precision, **metadata_of(autoencoder.architecture)}
        publish(context, trained.network, metadata, weights, pd.DataFrame(trained.epochs), history, folder)


def _architecture(params: AutoencoderParams) -> Architecture:
    return Architecture(
        adds_image=params.adds_image,
        has_skips=params.skip_dropout < 1,
        latent_channels=params.latent_channels,
        finest_stride=params.finest_stride,
    )


def _corruption(params: AutoencoderParams) -> Corruption:
    return Corruption(
        noise=params.noise,
        hidden_fraction=params.hidden_fraction,
        hidden_patch_px=params.hidden_patch_px,
        skip_dropout=params.skip_dropout if params.skip_dropout < 1 else 0.0,
    )
