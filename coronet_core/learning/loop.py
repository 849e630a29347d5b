"""The training loop. It knows epochs, batches, the best epoch and how to go on; it knows no model.

Nothing inside a step waits for the device: losses are summed there and read once an epoch.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, update_bn

from coronet_core.common.batches import batches
from coronet_core.common.literals import KeptWeights, Precision
from coronet_core.common.seeds import generator
from coronet_core.learning.early_stopping import EpochMetrics, History, best_epoch, is_exhausted
from coronet_core.learning.ranks import ALONE, Ranks
from coronet_core.support.callbacks import noop
from coronet_core.support.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and by what rule to train."""

    epochs: int
    batch_size: int
    epoch_fraction: float
    """Share of the training images that an epoch visits, in (0, 1]; drawn anew each epoch."""
    best_by: str
    """History column that chooses the best epoch: the lowest, or the highest if it is an accuracy or an area."""
    patience_epochs: int | None
    """Stop after so many epochs without a better one; None trains them all."""
    seed: int
    keep: KeptWeights = "best"
    """Which weights the model is left with. `average` is over the second half of the epochs (Izmailov et al. 2018)."""
    validates_start: bool = False
    """Whether the weights before the first epoch are validated too, and may be the best."""


@dataclass(frozen=True, kw_only=True)
class Learner:
    """What the loop trains: a model, its optimiser, and its two passes over data."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    n_images: int
    device: torch.device
    training_step: Callable[[Tensor, torch.Generator], dict[str, Tensor]]
    """Losses of one batch of positions, each a 0-d tensor on the device; the one called `loss` is minimised.

    On several ranks each is this rank's part of the batch's: their sum over the ranks is the loss.
    """
    validate: Callable[[], EpochMetrics]
    precision: Precision = "fp32"
    """The number format of both passes. A checkpoint stores it; resume with a learner built with the same."""
    ranks: Ranks = ALONE
    """The processes that train the model together."""
    frozen: Sequence[nn.Module] = ()
    """Parts of the model that are not trained, which stay in evaluation mode."""
    scheduler: LRScheduler | None = None
    """What sets the learning rate after each step; None leaves it as it is."""
    batches_as_they_are: Callable[[int], Iterable[Tensor]] | None = None
    """Training inputs from which batch norms of averaged weights take their statistics; `average` needs them."""


@dataclass
class TrainingState:
    """All that a later process needs to go on as if nothing had happened. Randomness is derived, not stored."""

    history: History = field(default_factory=list)
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    average: AveragedModel | None = None

    @property
    def n_epochs(self) -> int:
        """Return how many epochs are finished."""
        return int(self.history[-1]["epoch"]) if self.history else 0


@dataclass(frozen=True)
class EpochEnd:
    """Handed to `on_epoch` after each epoch."""

    metrics: EpochMetrics
    is_best: bool
    checkpoint: Callable[[], dict[str, Any]]
    """Everything needed to resume, as tensors and plain values; pass it to `fit` as `resume`."""


def fit(
    learner: Learner,
    schedule: Schedule,
    *,
    resume: dict[str, Any] | None = None,
    on_epoch: Callable[[EpochEnd], object] = noop,
    on_step: Callable[[int], object] = noop,
) -> History:
    """Train `learner.model` and leave it with the weights of its best epoch. Returns the history.

    `on_step` receives the number of images of each step, of all ranks. Resuming from a checkpoint of epoch e ends with
    the same weights as a run that was never stopped, bit for bit on a CPU with the same number of threads and ranks.
    Raises ValueError if weights are to be averaged and the learner has no inputs for batch norms.
    """
    if schedule.keep == "average" and learner.batches_as_they_are is None:
        raise ValueError("averaged weights need training inputs for their batch norms")
    state = TrainingState()
    if resume is not None:
        state = _restore(learner, resume)
    if schedule.validates_start and not state.history:
        _record(learner, schedule, state, {"epoch": 0.0, **learner.validate()}, on_epoch)
    patience = schedule.patience_epochs
    while state.n_epochs < schedule.epochs and not is_exhausted(state.n_epochs, state.best_epoch, patience):
        epoch = state.n_epochs + 1
        metrics = {"epoch": float(epoch), **_train_epoch(learner, schedule, epoch, on_step), **learner.validate()}
        if schedule.keep == "average" and epoch > schedule.epochs // 2:
            state.average = state.average or AveragedModel(learner.model)
            state.average.update_parameters(learner.model)
        _record(learner, schedule, state, metrics, on_epoch)
    _keep(learner, schedule, state)
    return state.history


def _record(
    learner: Learner,
    schedule: Schedule,
    state: TrainingState,
    metrics: EpochMetrics,
    on_epoch: Callable[[EpochEnd], object],
) -> None:
    metrics = learner.ranks.broadcast_metrics(metrics)
    _require_finite(metrics)
    state.history.append(metrics)
    is_best = metrics["epoch"] == best_epoch(state.history, schedule.best_by)
    if is_best:
        state.best_epoch = int(metrics["epoch"])
        state.best_weights = {key: value.clone() for key, value in learner.model.state_dict().items()}
    on_epoch(EpochEnd(metrics, is_best, lambda: _checkpoint(learner, state)))


def _keep(learner: Learner, schedule: Schedule, state: TrainingState) -> None:
    """Leave the model with the weights that the schedule wants; the last ones where none were averaged yet."""
    if schedule.keep == "best":
        learner.model.load_state_dict(state.best_weights)
    elif state.average is not None and learner.batches_as_they_are is not None:
        learner.model.load_state_dict(state.average.module.state_dict())
        update_bn(learner.batches_as_they_are(schedule.seed), learner.model)


def _train_epoch(learner: Learner, schedule: Schedule, epoch: int, on_step: Callable[[int], object]) -> EpochMetrics:
    learner.model.train()
    for part in learner.frozen:
        part.eval()
    rng = generator(schedule.seed, "epoch", epoch)
    sums: dict[str, Tensor] = {}
    last: dict[str, Tensor] = {}
    n_seen = 0
    for positions in _batches(learner, schedule, rng):
        last = learner.training_step(positions, rng)
        learner.optimizer.zero_grad(set_to_none=True)
        last["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        learner.optimizer.step()
        if learner.scheduler is not None:
            learner.scheduler.step()
        for name, value in last.items():
            weighted = value.detach() * len(positions)
            sums[name] = sums[name] + weighted if name in sums else weighted
        n_seen += len(positions)
        on_step(len(positions))
    total = learner.ranks.all_reduce
    metrics = {f"training_{name}": float(total(part)) / n_seen for name, part in sums.items()}
    return {**metrics, "training_last_step_loss": float(total(last["loss"].detach()))}


def _require_finite(metrics: EpochMetrics) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"epoch {metrics['epoch']:.0f}: {name} is {value}: training has diverged. Lower the learning rate, or "
                "set precision to fp32."
            )


def _batches(learner: Learner, schedule: Schedule, rng: torch.Generator) -> Sequence[Tensor]:
    n_visited = max(1, round(learner.n_images * schedule.epoch_fraction))
    order = torch.randperm(learner.n_images, generator=rng)[:n_visited].to(learner.device)
    return batches(order, schedule.batch_size)


def _checkpoint(learner: Learner, state: TrainingState) -> dict[str, Any]:
    return {
        "precision": learner.precision,
        "model": learner.model.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best_weights": state.best_weights,
        "scheduler": None if learner.scheduler is None else learner.scheduler.state_dict(),
        "average": None if state.average is None else state.average.state_dict(),
    }


def _restore(learner: Learner, resume: dict[str, Any]) -> TrainingState:
    learner.model.load_state_dict(resume["model"])
    learner.optimizer.load_state_dict(resume["optimizer"])
    best_weights = {key: value.to(learner.device) for key, value in resume["best_weights"].items()}
    state = TrainingState(resume["history"], resume["best_epoch"], best_weights)
    if learner.scheduler is not None:
        learner.scheduler.load_state_dict(resume["scheduler"])
    if resume["average"] is not None:
        state.average = AveragedModel(learner.model)
        state.average.load_state_dict(resume["average"])
    return state
