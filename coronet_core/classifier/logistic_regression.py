"""The best head for features that stay as they are: multinomial logistic regression with an L2 penalty."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.classifier.architectures import ARCHITECTURES
from coronet_core.classifier.fine_tuning import input_batches
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import CinArchitecture, Precision
from coronet_core.common.precision import autocast

PENALTIES: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Tried ones: half of each times the squared weights is added to the sum of the losses."""
MAX_ITERATIONS: Final = 200


@torch.no_grad()
def features_of(
    network: nn.Module, architecture: CinArchitecture, inputs: CinInputs, batch_size: int, precision: Precision
) -> Tensor:
    """Return what the last layer of `network` is given for each of `inputs`, (n, F) float64 on the CPU."""
    found: list[Tensor] = []
    linear = network.get_submodule(ARCHITECTURES[architecture].linear)
    hook = linear.register_forward_pre_hook(lambda _, given: found.append(given[0].double().cpu()))
    network.eval()
    try:
        for batch in input_batches(inputs, batch_size):
            with autocast(inputs.device, precision):
                network(batch)
    finally:
        hook.remove()
    return torch.cat(found)


def best_head(
    features: Tensor, labels: Tensor, validation_features: Tensor, validation_labels: Tensor, class_weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Return weight (3, F) and bias (3,) of the head with the lowest class-weighted loss on the validation images.

    `features` (n, F) float64 and `labels` (n,) are those of the training images. Heads are compared that were fitted
    with each of PENALTIES.
    """
    mean, scale = features.mean(0), features.std(0).clamp_min(torch.finfo(torch.float64).eps)
    weights = class_weights.double()
    training, validation = (features - mean) / scale, (validation_features - mean) / scale
    heads = [fitted_head(training, labels, weights, penalty) for penalty in PENALTIES]
    losses = [
        functional.cross_entropy(validation @ weight.T + bias, validation_labels, weights) for weight, bias in heads
    ]
    weight, bias = heads[int(torch.stack(losses).argmin())]
    return weight / scale, bias - weight @ (mean / scale)


def fitted_head(features: Tensor, labels: Tensor, class_weights: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Return the weight (3, F) and bias (3,) of the lowest class-weighted loss and penalty, by L-BFGS.

    `features` (n, F) float64 should be standardised: the penalty is the same for all.
    """
    weight = torch.zeros(len(CLASSES), features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(CLASSES), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(features @ weight.T + bias, labels, class_weights)
        loss = loss + penalty / (2 * len(features)) * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def start_head(
    network: nn.Module,
    architecture: CinArchitecture,
    training: tuple[CinInputs, Tensor],
    validation: tuple[CinInputs, Tensor],
    class_weights: Tensor,
    batch_size: int,
    precision: Precision,
) -> None:
    """Give the last layer of `network` the weights that suit the features before it best.

    `training` and `validation` are inputs and class indices (n,) int64.
    """
    (features, labels), (validation_features, validation_labels) = (
        (features_of(network, architecture, inputs, batch_size, precision), labels.cpu())
        for inputs, labels in (training, validation)
    )
    weight, bias = best_head(features, labels, validation_features, validation_labels, class_weights.cpu())
    network.get_submodule(ARCHITECTURES[architecture].linear).load_state_dict({"weight": weight, "bias": bias})
