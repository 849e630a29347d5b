"""Training the CIN on residual tensors (paper sec. 2.2 and 3.2)."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from coronet_core.classifier.augmentation import flipped, random_mask
from coronet_core.classifier.fine_tuning import TrainedLayers, shuffled_batches, warm_up, warm_up_and_cosine
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import batches
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import LearningRateSchedule, Optimizer, Precision
from coronet_core.common.precision import autocast
from coronet_core.learning.data_parallel import data_parallel
from coronet_core.learning.early_stopping import EpochMetrics
from coronet_core.learning.loop import Learner
from coronet_core.learning.ranks import ALONE, Ranks
from coronet_core.metrics.auc import rankings, roc_auc


def inverse_frequency_weights(labels: Tensor) -> Tensor:
    """Return class weights (3,) inversely proportional to the classes' shares in `labels` (n,), mean 1 over images."""
    counts = torch.bincount(labels, minlength=len(CLASSES)).double()
    return (counts.sum() / (len(CLASSES) * counts)).float()


class TrainingInputs(Protocol):
    """Inputs that are drawn: as they are, or augmented."""

    device: torch.device

    def __len__(self) -> int: ...

    def draw(self, positions: Tensor, epoch_seed: int) -> Tensor:
        """Return inputs at `positions` (int64, on `device`), (B, C, H, W) float32."""
        ...


def cross_entropy(
    logits: Tensor, targets: Tensor, class_weights: Tensor, batch_targets: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Return the class-weighted cross-entropy of `logits` (B, 3), 0-d.

    `batch_targets` (N,) are the targets of the whole batch, whose weights it is divided by. `targets` (B,) may be
    fewer, or none: the losses of a batch's parts add up to its loss. `label_smoothing` is the share of each target that
    is spread over all classes (Szegedy et al. 2016).
    """
    if len(targets) == len(batch_targets):
        return functional.cross_entropy(logits, targets, class_weights, label_smoothing=label_smoothing)
    total = functional.cross_entropy(logits, targets, class_weights, reduction="sum", label_smoothing=label_smoothing)
    return total / class_weights[batch_targets].sum()


def macro_roc_auc(truth: Tensor, logits: Tensor) -> float:
    """Return the mean area under the three classes' ROC, by softmax, for `truth` (n,), which has all classes."""
    scores = logits.double().softmax(1).cpu().numpy()
    once = np.ones((1, len(truth)))
    return float(np.mean([roc_auc(ranking, once)[0] for ranking in rankings(truth.cpu().numpy(), scores)]))


def cin_learner(
    cin: nn.Module,
    training: TrainingInputs,
    training_labels: Tensor,
    validation: CinInputs,
    validation_labels: Tensor,
    *,
    learning_rate: float,
    weight_decay: float,
    class_weights: Tensor,
    horizontal_flip: Sequence[int],
    vertical_flip: Sequence[int],
    batch_size: int,
    precision: Precision,
    layers: TrainedLayers | None = None,
    optimizer: Optimizer = "adam",
    learning_rate_schedule: LearningRateSchedule = "constant",
    epochs: int = 1,
    warm_up_epochs: float = 0.0,
    label_smoothing: float = 0.0,
    as_they_are: CinInputs | None = None,
    ranks: Ranks = ALONE,
) -> Learner:
    """Return what `fit` needs to train `cin` by class-weighted cross-entropy.

    `training` and `validation` give residual tensors (n, 3, H, W), the labels class indices (n,) int64.
    `horizontal_flip` and `vertical_flip` name the class indices whose residuals are flipped at random. Residuals
    are flipped, not images: the autoencoders are not flip-equivariant, and the paper augments the CIN alone.
    `batch_size` is that of all `ranks` together. `layers` are the ones to train, by default all. The learning rate
    follows `learning_rate_schedule` over `epochs`, behind `warm_up_epochs` in which it rises. `as_they_are` are the
    training inputs without augmentation, for the batch norms of averaged weights.
    """
    device = training.device
    cin.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
    layers = TrainedLayers.all_of(cin) if layers is None else layers
    groups = [{"params": parameters, "lr": factor * learning_rate} for parameters, factor in layers.groups]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    chosen = kind(groups, lr=learning_rate, weight_decay=weight_decay, fused=True)
    labels, validation_labels, class_weights = (
        t.to(device) for t in (training_labels, validation_labels, class_weights)
    )
    flippable = {dim: _membership(chosen).to(device) for dim, chosen in ((3, horizontal_flip), (2, vertical_flip))}

    def logits_of(model: nn.Module, residuals: Tensor) -> Tensor:
        with autocast(device, precision):
            logits: Tensor = model(residuals)
        return logits.float()  # (B, 3)

    parallel_logits_of = data_parallel(logits_of, cin, ranks)

    def training_step(positions: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        own = ranks.shard(positions)
        targets = labels[own]
        residuals = training.draw(own, rng.initial_seed())  # the epoch's own
        for dim, may_flip in flippable.items():
            coin = ranks.shard(random_mask(len(positions), rng, device))  # all ranks toss alike, for all their images
            residuals = flipped(residuals, coin & may_flip[targets], dim)
        logits = parallel_logits_of(residuals)
        n_right = (logits.detach().argmax(1) == targets).float().sum()
        loss = cross_entropy(logits, targets, class_weights, labels[positions], label_smoothing)
        return {"loss": loss, "accuracy": n_right / len(positions)}

    @torch.inference_mode()
    def validate() -> EpochMetrics:
        cin.eval()
        logits = torch.zeros(len(validation), len(CLASSES), device=device)  # each rank fills in some rows
        parts = batches(torch.arange(len(validation), device=device), batch_size)
        for positions in parts[ranks.rank :: ranks.size]:
            logits[positions] = logits_of(cin, validation.take(positions))
        logits = ranks.all_reduce(logits)
        loss = functional.cross_entropy(logits, validation_labels, class_weights)
        accuracy = (logits.argmax(1) == validation_labels).float().mean()
        metrics = {
            "validation_loss": float(loss),
            "validation_accuracy": float(accuracy),
            "validation_unweighted_loss": float(functional.cross_entropy(logits, validation_labels)),
        }
        if all((validation_labels == label).any() for label in range(len(CLASSES))):
            metrics["validation_roc_auc"] = macro_roc_auc(validation_labels, logits)
        return metrics

    return Learner(
        model=cin,
        optimizer=chosen,
        n_images=len(training),
        device=device,
        training_step=training_step,
        validate=validate,
        precision=precision,
        ranks=ranks,
        frozen=layers.frozen,
        scheduler=_scheduler(chosen, learning_rate_schedule, epochs, warm_up_epochs, len(training), batch_size),
        batches_as_they_are=None if as_they_are is None else partial(shuffled_batches, as_they_are, batch_size),
    )


def _scheduler(
    optimizer: torch.optim.Optimizer,
    schedule: LearningRateSchedule,
    epochs: int,
    warm_up_epochs: float,
    n_images: int,
    batch_size: int,
) -> LambdaLR | None:
    """Return what sets the learning rate before each step; None where it stays as it is."""
    if schedule == "constant" and not warm_up_epochs:
        return None
    by_epoch = math.ceil(n_images / batch_size)
    n_warm_up = round(warm_up_epochs * by_epoch)
    factor = warm_up(n_warm_up) if schedule == "constant" else warm_up_and_cosine(n_warm_up, epochs * by_epoch)
    return LambdaLR(optimizer, factor)


def _membership(classes: Sequence[int]) -> Tensor:
    member = torch.zeros(len(CLASSES), dtype=torch.bool)
    member[list(classes)] = True
    return member
