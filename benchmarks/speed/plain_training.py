"""Whole trainings the plain way, on the same batches and with the same chance as ours: `fit` hands out both."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.speed import plain
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.augmentation import flipped, random_mask
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import Subset, batches
from coronet_core.learning.early_stopping import EpochMetrics
from coronet_core.learning.loop import Learner
from tasks.runtime.params.schema import AutoencoderParams, CinParams

CPU = torch.device("cpu")


def autoencoder_learner(network: FPAE, training: Subset, validation: Subset, params: AutoencoderParams) -> Learner:
    """Return what `fit` needs to train `network`: eager float32, channels first, Adam layer by layer."""

    def loss_of(images: Subset, positions: Tensor) -> Tensor:
        image = images.take(positions)[:, None].float() / 255  # (B, 1, H, W)
        return plain.autoencoder_loss(network, image, params.regulariser_weight)

    return _learner(
        network,
        torch.optim.Adam(network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay),
        len(training),
        lambda positions, _: {"loss": loss_of(training, positions)},
        _validation(network, len(validation), params.batch_size, lambda positions: loss_of(validation, positions)),
    )


def cin_learner(
    network: nn.Module,
    training: tuple[CinInputs, Tensor],
    validation: tuple[CinInputs, Tensor],
    class_weights: Tensor,
    params: CinParams,
) -> Learner:
    """Return what `fit` needs to train `network` on residual tensors, all of which may be flipped both ways."""

    def loss_of(residuals: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(network(residuals.contiguous()), targets, class_weights)

    def training_step(positions: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        inputs, labels = training
        residuals = inputs.take(positions)
        for dim in (3, 2):
            residuals = flipped(residuals, random_mask(len(positions), rng, CPU), dim)
        return {"loss": loss_of(residuals, labels[positions])}

    def validation_loss(positions: Tensor) -> Tensor:
        inputs, labels = validation
        return loss_of(inputs.take(positions), labels[positions])

    return _learner(
        network,
        torch.optim.Adam(network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay),
        len(training[1]),
        training_step,
        _validation(network, len(validation[1]), len(validation[1]), validation_loss),
    )


def _validation(
    network: nn.Module, n_images: int, batch_size: int, loss_of: Callable[[Tensor], Tensor]
) -> Callable[[], EpochMetrics]:
    @torch.no_grad()
    def validate() -> EpochMetrics:
        network.eval()
        total = sum(float(loss_of(part)) * len(part) for part in batches(torch.arange(n_images), batch_size))
        return {"validation_loss": total / n_images}

    return validate


def _learner(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    n_images: int,
    training_step: Callable[[Tensor, torch.Generator], dict[str, Tensor]],
    validate: Callable[[], EpochMetrics],
) -> Learner:
    return Learner(
        model=network,
        optimizer=optimizer,
        n_images=n_images,
        device=CPU,
        training_step=training_step,
        validate=validate,
    )
