"""The CIN's networks before training: backbone, frozen layers, head."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.augmentation import Augmentation
from coronet_core.classifier.cin_learner import inverse_frequency_weights
from coronet_core.classifier.fine_tuning import TrainedLayers, estimate_batch_norm, trained_layers
from coronet_core.classifier.inputs import CinInputs
from coronet_core.classifier.logistic_regression import start_head
from coronet_core.classifier.middle_blocks import parts_of, with_head
from coronet_core.classifier.pretrained_backbone import imagenet_backbone, load_backbone
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import CinInput
from coronet_core.common.precision import choose_precision
from coronet_core.common.weights import read_weights
from tasks.runtime.params.cin_params import CinParams

Labelled = tuple[CinInputs, Tensor]
"""Inputs, and their class indices (n,) int64."""


def starting_network(
    params: CinParams, kind: CinInput, training: Labelled, validation: Labelled, class_weights: Tensor, seed: int
) -> tuple[nn.Module, TrainedLayers]:
    """Return a network that reads inputs of this `kind`, on their device, and its layers that are to be trained.

    Where not all layers are trained, or the head does not start at random, batch norms begin with the statistics of the
    training images, in an order by `seed`. Raises WeightsError for a backbone of another architecture.
    """
    network = build_cin(kind, params.architecture)
    if params.pretrained == "imagenet":
        load_backbone(network, imagenet_backbone(params.architecture), "imagenet", params.architecture)
    elif params.pretrained != "none":
        load_backbone(network, read_weights(Path(params.pretrained)), params.pretrained, params.architecture)
    network = with_head(network, params.architecture, params.head_input)
    parts = parts_of(params.architecture, params.head_input)
    inputs, _ = training
    network.to(inputs.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
    if params.fine_tune != "all" or params.head_start != "random":
        estimate_batch_norm(network, inputs, params.batch_size, seed)
    if params.head_start == "logistic_regression":
        precision = choose_precision(params.precision, inputs.device)
        flipped = [CLASSES.index(label) for label in params.horizontal_flip]
        start_head(network, parts.linear, training, validation, class_weights, flipped, params.batch_size, precision)
    return network, trained_layers(network, parts, params.fine_tune, params.learning_rate_by_level)


def augmentation_of(params: CinParams) -> Augmentation:
    """Return how X-rays are augmented."""
    return Augmentation(**asdict(params.augmentation))


def class_weights_for(params: CinParams, labels: Tensor) -> Tensor:
    """Return the weights (3,) of the classes in the cross-entropy on training images with these `labels` (n,)."""
    match params.class_weights:
        case "inverse_frequency":
            return inverse_frequency_weights(labels)
        case "equal":
            return torch.ones(len(CLASSES))
        case weights:
            return torch.tensor(weights)
