"""Training the CIN on residual tensors (paper sec. 2.2 and 3.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import batches
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import Precision
from coronet_core.common.precision import autocast
from coronet_core.learning.data_parallel import data_parallel
from coronet_core.learning.loop import EpochMetrics, Learner
from coronet_core.learning.ranks import ALONE, Ranks


def inverse_frequency_weights(labels: Tensor) -> Tensor:
    """Return class weights (3,) inversely proportional to the classes' shares in `labels` (n,), mean 1 over images."""
    counts = torch.bincount(labels, minlength=len(CLASSES)).double()
    return (counts.sum() / (len(CLASSES) * counts)).float()


def random_mask(n: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Toss a coin for each of `n` images: (n,) bool on `device`."""
    tossed = torch.randint(2, (n,), generator=rng, pin_memory=device.type == "cuda")
    return tossed.to(device, non_blocking=True).bool()


def flipped(x: Tensor, chosen: Tensor, dim: int) -> Tensor:
    """Return `x` (B, ...) with the rows that `chosen` (B,) bool names flipped along `dim`."""
    return torch.where(chosen.view(-1, *[1] * (x.dim() - 1)), x.flip(dim), x)  # (B, 1, 1, 1)


def cross_entropy(logits: Tensor, targets: Tensor, class_weights: Tensor, batch_targets: Tensor) -> Tensor:
    """Return the class-weighted cross-entropy of `logits` (B, 3), 0-d.

    `batch_targets` (N,) are the targets of the whole batch, whose weights it is divided by. `targets` (B,) may be
    fewer, or none: the losses of a batch's parts add up to its loss.
    """
    if len(targets) == len(batch_targets):
        return functional.cross_entropy(logits, targets, class_weights)
    return (
        functional.cross_entropy(logits, targets, class_weights, reduction="sum") / class_weights[batch_targets].sum()
    )


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
    ranks: Ranks = ALONE,
) -> Learner:
    """Return what `fit` needs to train `cin` by class-weighted cross-entropy with Adam.

    `training` and `validation` give residual tensors (n, 3, H, W), the labels class indices (n,) int64.
    `horizontal_flip` and `vertical_flip` name the class indices whose residuals are flipped at random. Residuals
    are flipped, not images: the autoencoders are not flip-equivariant, and the paper augments the CIN alone.
    `batch_size` is that of all `ranks` together.
    """
    device = training.device
    cin.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
    optimizer = torch.optim.Adam(cin.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)
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
        residuals, targets = training.take(own), labels[own]
        for dim, may_flip in flippable.items():
            coin = ranks.shard(
                random_mask(len(positions), rng, device)
            )  # tossed for all ranks' images: they toss alike
            residuals = flipped(residuals, coin & may_flip[targets], dim)
        logits = parallel_logits_of(residuals)
        n_right = (logits.detach().argmax(1) == targets).float().sum()
        loss = cross_entropy(logits, targets, class_weights, labels[positions])
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
        return {"validation_loss": float(loss), "validation_accuracy": float(accuracy)}

    return Learner(
        model=cin,
        optimizer=optimizer,
        n_images=len(training),
        device=device,
        training_step=training_step,
        validate=validate,
        precision=precision,
        ranks=ranks,
    )


def _membership(classes: Sequence[int]) -> Tensor:
    member = torch.zeros(len(CLASSES), dtype=torch.bool)
    member[list(classes)] = True
    return member
