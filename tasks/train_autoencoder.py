"""Stage `train_autoencoder`: the images of one class in, the weights of its autoencoder out."""

from functools import partial

import torch

from coronet_core.classes import ClassName
from coronet_core.models.fpae import FPAE
from coronet_core.seeds import derive_seed
from coronet_core.training.autoencoder import autoencoder_learner
from coronet_core.training.loop import Schedule
from tasks.cpu import use_cpu_threads
from tasks.data import images_of
from tasks.files import digest
from tasks.paths import MANIFEST, autoencoder_history, autoencoder_weights
from tasks.stage import StageContext
from tasks.training_stage import train


def run(context: StageContext, label: ClassName) -> None:
    """Train AE_H (`healthy`) or AE_P (`pneumonia`)."""
    use_cpu_threads(share=2)  # the other autoencoder has the other half
    params, device = context.params.autoencoder, context.device
    seed = derive_seed(context.params.seed, "autoencoder", label)
    torch.manual_seed(seed)  # initial weights
    learner_with = partial(
        autoencoder_learner,
        FPAE(params.latent),
        images_of("train", label, device),
        images_of("validation", label, device),
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        regulariser_weight=params.regulariser_weight,
        batch_size=params.batch_size,
        training_size_px=params.training_size_px,
        ranks=context.seat.ranks,
    )
    schedule = Schedule(
        epochs=params.epochs,
        batch_size=params.batch_size,
        epoch_fraction=params.epoch_fraction,
        best_by=params.best_by,
        patience_epochs=params.patience_epochs,
        seed=seed,
    )
    work = digest(label, params, seed, context.params.data.image_size_px, MANIFEST)
    train(
        context, learner_with, params.precision, schedule, work, autoencoder_weights(label), autoencoder_history(label)
    )
