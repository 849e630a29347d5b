"""Stage `train_cin`: residual tensors of the training split in, the weights of the CIN out."""

from functools import partial
from pathlib import Path

import pandas as pd
import torch

from coronet_core.classifier.augmentation import AugmentedInputs
from coronet_core.classifier.cin_design import CinDesign
from coronet_core.classifier.cin_learner import cin_learner
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import PRECISION_KEY, CinInput
from coronet_core.common.seeds import derive_seed
from coronet_core.learning.loop import Schedule
from coronet_core.support.errors import DataError
from tasks.networks.residual_index import class_indices, read_residual_index
from tasks.networks.residual_inputs import cin_inputs_of_rows
from tasks.networks.trained_tfen import load_tfen
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import digest
from tasks.runtime.params.cin_params import CinParams
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import CIN_HISTORY, CIN_WEIGHTS, MANIFEST, RESIDUAL_INDEX, RESIDUAL_SCALE, autoencoder_weights
from tasks.runtime.resume import resume_folder
from tasks.runtime.stage_context import StageContext
from tasks.train_cin.member_folds import MemberImages, images_of_members
from tasks.train_cin.starting_network import augmentation_of, class_weights_for, starting_network
from tasks.training.training_run import NetworkNumber, Trained, publish, train


def run(context: StageContext) -> None:
    """Train the networks of the CIN, one after the other, by class-weighted cross-entropy."""
    use_cpu_threads(share=1)
    params = context.params.cin
    design = design_of(params)
    pretrained = Path(params.pretrained)
    given = [pretrained] if pretrained.is_file() else []  # its name says nothing of what it holds
    autoencoders = [autoencoder_weights("healthy"), autoencoder_weights("pneumonia"), RESIDUAL_SCALE]
    used = [] if augmentation_of(params).is_off else [path for path in autoencoders if path.is_file()]
    seed = cin_seed(context.params)
    work = digest(params, seed, MANIFEST, RESIDUAL_INDEX, *given, *used)  # the index has the energies of all residuals
    folder = resume_folder(context.name, work) if context.distributed.ranks.leads else None
    images = images_of_members(read_residual_index(), params, seed)
    n_by_member = len(design.inputs) // params.members
    trained = [
        _train_one(
            context,
            kind,
            images[place // n_by_member],
            folder,
            NetworkNumber(number=place + 1, total=len(design.inputs)),
        )
        for place, kind in enumerate(design.inputs)
    ]
    if folder is not None:
        cin = design.of_networks([one.network for one in trained])
        metadata = {PRECISION_KEY: trained[0].precision, **design.to_metadata()}
        publish(context, cin, metadata, CIN_WEIGHTS, _history(trained), CIN_HISTORY, folder)


def design_of(params: CinParams) -> CinDesign:
    """Return what the CIN is made of."""
    return CinDesign(
        input=params.input,
        architecture=params.architecture,
        head_input=params.head_input,
        fusion=params.fusion,
        members=params.members,
        average_flips=params.average_flips,
    )


def _train_one(
    context: StageContext, kind: CinInput, images: MemberImages, folder: Path | None, which: NetworkNumber
) -> Trained:
    """Train one network, which reads inputs of this `kind`, and keep what resumes it in its part of `folder`."""
    params, device = context.params.cin, context.device
    seed = cin_seed(context.params, which.number)
    torch.manual_seed(seed)  # initial weights
    as_they_are, validation = (cin_inputs_of_rows(rows, kind, device) for rows in images)
    training_labels, validation_labels = (torch.from_numpy(class_indices(rows)) for rows in images)
    if params.best_by == "validation_roc_auc" and set(validation_labels.tolist()) != set(range(len(CLASSES))):
        raise DataError("cin.best_by = validation_roc_auc: a class has no validation images. Choose another figure.")
    weights = class_weights_for(params, training_labels)
    network, layers = starting_network(
        params, kind, (as_they_are, training_labels), (validation, validation_labels), weights, seed
    )
    augmentation = augmentation_of(params)
    training = (
        as_they_are
        if augmentation.is_off
        else AugmentedInputs(
            kind, as_they_are.images, load_tfen(device), augmentation, context.params.residuals.precision
        )
    )
    learner_with = partial(
        cin_learner,
        network,
        training,
        training_labels,
        validation,
        validation_labels,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        class_weights=weights,
        horizontal_flip=[CLASSES.index(label) for label in params.horizontal_flip],
        vertical_flip=[CLASSES.index(label) for label in params.vertical_flip],
        batch_size=params.batch_size,
        layers=layers,
        optimizer=params.optimizer,
        learning_rate_schedule=params.learning_rate_schedule,
        epochs=params.epochs,
        warm_up_epochs=params.warm_up_epochs,
        label_smoothing=params.label_smoothing,
        as_they_are=as_they_are,
        ranks=context.distributed.ranks,
    )
    schedule = Schedule(
        epochs=params.epochs,
        batch_size=params.batch_size,
        epoch_fraction=1.0,
        best_by=params.best_by,
        patience_epochs=params.patience_epochs,
        seed=seed,
        keep=params.keep,
        validates_start=params.head_start != "random",
    )
    part = None if folder is None else folder / f"network-{which.number}"
    return train(context, learner_with, params.precision, schedule, part, which)


def cin_seed(params: Params, network: int = 1) -> int:
    """Return the seed of initial weights, order and flips: each repetition and each network has its own.

    The first network of the first repetition has that of the run.
    """
    repetition = ("repetition", params.cin.repetition) if params.cin.repetition else ()
    number = ("network", network) if network > 1 else ()
    return derive_seed(params.seed, "cin", *repetition, *number)


def _history(trained: list[Trained]) -> pd.DataFrame:
    """Return the epochs of all networks, with a column `network` where there are several, counting from 1."""
    tables = [pd.DataFrame(one.epochs) for one in trained]
    if len(tables) == 1:
        return tables[0]
    return pd.concat([table.assign(network=number) for number, table in enumerate(tables, start=1)], ignore_index=True)
