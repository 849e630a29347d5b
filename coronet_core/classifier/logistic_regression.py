"""The best head for features that stay as they are: multinomial logistic regression with an L2 penalty."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.classifier.fine_tuning import input_batches
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import Precision
from coronet_core.common.precision import autocast

PENALTIES: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Tried ones: half of each times the squared weights is added to the sum of the losses."""
MAX_ITERATIONS: Final = 200


@torch.no_grad()
def features_of(
    network: nn.Module,
    last_layer: str,
    inputs: CinInputs,
    batch_size: int,
    precision: Precision,
    *,
    are_mirrored: bool = False,
) -> Tensor:
    """Return what the last layer of `network` is given for each of `inputs`, (n, F) float64 on the CPU.

    With `are_mirrored` for their mirror images, flipped left to right.
    """
    found: list[Tensor] = []
    hook = network.get_submodule(last_layer).register_forward_pre_hook(
        lambda _, given: found.append(given[0].double().cpu())
    )
    network.eval()
    try:
        for batch in input_batches(inputs, batch_size):
            with autocast(inputs.device, precision):
                network(batch.flip(3) if are_mirrored else batch)
    finally:
        hook.remove()
    return torch.cat(found)


def best_head(
    features: Tensor,
    labels: Tensor,
    validation_features: Tensor,
    validation_labels: Tensor,
    class_weights: Tensor,
    shares: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return weight (3, F) and bias (3,) of the head with the lowest class-weighted loss on the validation images.

    `features` (n, F) float64, `labels` (n,) and `shares` (n,), by which each counts, are those of the training images.
    Heads are compared that were fitted with each of PENALTIES.
    """
    mean, scale = features.mean(0), features.std(0).clamp_min(torch.finfo(torch.float64).eps)
    weights = class_weights.double()
    training, validation = (features - mean) / scale, (validation_features - mean) / scale
    heads = [fitted_head(training, labels, weights, shares, penalty) for penalty in PENALTIES]
    losses = [
        functional.cross_entropy(validation @ weight.T + bias, validation_labels, weights) for weight, bias in heads
    ]
    weight, bias = heads[int(torch.stack(losses).argmin())]
    return weight / scale, bias - weight @ (mean / scale)


def fitted_head(
    features: Tensor, labels: Tensor, class_weights: Tensor, shares: Tensor, penalty: float
) -> tuple[Tensor, Tensor]:
    """Return the weight (3, F) and bias (3,) of the lowest class-weighted loss and penalty, by L-BFGS.

    `features` (n, F) float64 should be standardised: the penalty is the same for all. Each counts by its part of
    `shares` (n,), whose sum is the number of images.
    """
    weights = shares * class_weights[labels]
    weight = torch.zeros(len(CLASSES), features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(CLASSES), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        losses = functional.cross_entropy(features @ weight.T + bias, labels, reduction="none")
        loss = weights @ losses / weights.sum() + penalty / (2 * shares.sum()) * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def start_head(
    network: nn.Module,
    last_layer: str,
    training: tuple[CinInputs, Tensor],
    validation: tuple[CinInputs, Tensor],
    class_weights: Tensor,
    horizontal_flip: Sequence[int],
    batch_size: int,
    precision: Precision,
) -> None:
    """Give the last layer of `network` the weights that suit the features before it best.

    `training` and `validation` are inputs and class indices (n,) int64. Training images of the class indices
    `horizontal_flip` count by half, and their mirror images by the other half.
    """
    features_by = partial(features_of, network, last_layer, batch_size=batch_size, precision=precision)
    (inputs, labels), (validation_inputs, validation_labels) = (
        (given, true.cpu()) for given, true in (training, validation)
    )
    features, shares = features_by(inputs=inputs), torch.ones(len(labels), dtype=torch.float64)
    if horizontal_flip:
        flippable = torch.isin(labels, torch.tensor(horizontal_flip))
        mirrored = features_by(inputs=inputs, are_mirrored=True)[flippable]
        features, labels = torch.cat([features, mirrored]), torch.cat([labels, labels[flippable]])
        shares = torch.where(flippable, shares / 2, shares)
        shares = torch.cat([shares, shares[flippable]])
    weight, bias = best_head(
        features, labels, features_by(inputs=validation_inputs), validation_labels, class_weights.cpu(), shares
    )
    network.get_submodule(last_layer).load_state_dict({"weight": weight, "bias": bias})
