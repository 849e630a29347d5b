"""Stage `train_cin`: residual tensors of the training split in, the weights of the CIN out."""

from functools import partial
from pathlib import Path

import torch

from coronet_core.classifier.cin import build_cin, imagenet_backbone, load_backbone
from coronet_core.classifier.cin_learner import cin_learner, inverse_frequency_weights
from coronet_core.common.classes import CLASSES
from coronet_core.common.seeds import derive_seed
from coronet_core.common.weights import read_weights
from coronet_core.learning.loop import Schedule
from tasks.networks.residual_inputs import cin_inputs_of_split
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import digest
from tasks.runtime.params.schema import CinParams, Params
from tasks.runtime.paths import CIN_HISTORY, CIN_WEIGHTS, MANIFEST, RESIDUAL_INDEX
from tasks.runtime.stage_context import StageContext
from tasks.training.training_run import train


def run(context: StageContext) -> None:
    """Train the CIN by class-weighted cross-entropy."""
    use_cpu_threads(share=1)
    params, device = context.params.cin, context.device
    seed = cin_seed(context.params)
    torch.manual_seed(seed)  # initial weights
    training, training_labels = cin_inputs_of_split("train", params.input, device)
    validation, validation_labels = cin_inputs_of_split("validation", params.input, device)
    learner_with = partial(
        cin_learner,
        _initial_cin(params),
        training,
        training_labels,
        validation,
        validation_labels,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        class_weights=_class_weights(params, training_labels),
        horizontal_flip=[CLASSES.index(label) for label in params.horizontal_flip],
        vertical_flip=[CLASSES.index(label) for label in params.vertical_flip],
        batch_size=params.batch_size,
        ranks=context.distributed.ranks,
    )
    schedule = Schedule(
        epochs=params.epochs,
        batch_size=params.batch_size,
        epoch_fraction=1.0,
        best_by=params.best_by,
        patience_epochs=params.patience_epochs,
        seed=seed,
    )
    pretrained = Path(params.pretrained)
    given = [pretrained] if pretrained.is_file() else []  # its name says nothing of what it holds
    work = digest(params, seed, MANIFEST, RESIDUAL_INDEX, *given)  # the index has the energies of all residuals
    train(context, learner_with, params.precision, schedule, work, CIN_WEIGHTS, CIN_HISTORY)


def cin_seed(params: Params) -> int:
    """Return the seed of initial weights, order and flips: each repetition has its own, the first that of the run."""
    own = ("repetition", params.cin.repetition) if params.cin.repetition else ()
    return derive_seed(params.seed, "cin", *own)


def _initial_cin(params: CinParams) -> torch.nn.Module:
    cin = build_cin(params.input)
    if params.pretrained == "imagenet":
        load_backbone(cin, imagenet_backbone(), "imagenet")
    elif params.pretrained != "none":
        load_backbone(cin, read_weights(Path(params.pretrained)), params.pretrained)
    return cin


def _class_weights(params: CinParams, labels: torch.Tensor) -> torch.Tensor:
    match params.class_weights:
        case "inverse_frequency":
            return inverse_frequency_weights(labels)
        case "equal":
            return torch.ones(len(CLASSES))
        case weights:
            return torch.tensor(weights)
