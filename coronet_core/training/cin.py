"""Training the CIN on residual tensors (paper sec. 2.2 and 3.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.cin_input import CinInputs
from coronet_core.classes import CLASSES
from coronet_core.precision import Precision, autocast
from coronet_core.shards import batches
from coronet_core.training.loop import EpochMetrics, Learner


def inverse_frequency_weights(labels: Tensor) -> Tensor:
    """Return class weights (3,) inversely proportional to the classes' shares in `labels` (n,), mean 1 over images."""
    counts = torch.bincount(labels, minlength=len(CLASSES)).double()
    return (counts.sum() / (len(CLASSES) * counts)).float()


def random_flips(x: Tensor, may_flip: Tensor, dim: int, rng: torch.Generator) -> Tensor:
    """Flip each row of `x` (B, ...) along `dim` with probability 1/2 where `may_flip` (B,) bool allows it."""
    coin = torch.randint(2, (len(x),), generator=rng, pin_memory=x.is_cuda).to(x.device, non_blocking=True).bool()
    chosen = (coin & may_flip).view(-1, *[1] * (x.dim() - 1))  # (B, 1, 1, 1)
    return torch.where(chosen, x.flip(dim), x)


def cin_learner(
    cin: nn.Module,
    training: CinInputs,
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
) -> Learner:
    """Return what `fit` needs to train `cin` by class-weighted cross-entropy with Adam.

    `training` and `validation` give residual tensors (n, 3, H, W), the labels class indices (n,) int64.
    `horizontal_flip` and `vertical_flip` name the class indices whose residuals are flipped at random. Residuals
    are flipped, not images: the autoencoders are not flip-equivariant, and the paper augments the CIN alone.
    """
    device = training.device
    cin.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
    optimizer = torch.optim.Adam(cin.parameters(), lr=learning_rate, weight_decay=weight_decay)
    labels, validation_labels, class_weights = (
        t.to(device) for t in (training_labels, validation_labels, class_weights)
    )
    flippable = {dim: _membership(chosen).to(device) for dim, chosen in ((3, horizontal_flip), (2, vertical_flip))}

    def logits_of(residuals: Tensor) -> Tensor:
        with autocast(device, precision):
            logits: Tensor = cin(residuals)
        return logits.float()  # (B, 3)

    def training_step(positions: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        residuals, targets = training.take(positions), labels[positions]
        for dim, may_flip in flippable.items():
            residuals = random_flips(residuals, may_flip[targets], dim, rng)
        logits = logits_of(residuals)
        accuracy = (logits.detach().argmax(1) == targets).float().mean()
        return {"loss": functional.cross_entropy(logits, targets, class_weights), "accuracy": accuracy}

    @torch.inference_mode()
    def validate() -> EpochMetrics:
        cin.eval()
        parts = batches(torch.arange(len(validation), device=device), batch_size)
        logits = torch.cat([logits_of(validation.take(positions)) for positions in parts])  # (n, 3)
        loss = functional.cross_entropy(logits, validation_labels, class_weights)
        accuracy = (logits.argmax(1) == validation_labels).float().mean()
        return {"validation_loss": float(loss), "validation_accuracy": float(accuracy)}

    return Learner(
        model=cin,
        optimizer=optimizer,
        n_images=len(training),
        device=device,
        training_step=training_step,
        validate=validate,
    )


def _membership(classes: Sequence[int]) -> Tensor:
    member = torch.zeros(len(CLASSES), dtype=torch.bool)
    member[list(classes)] = True
    return member
