"""What the two training stages share: resume, show progress, track epochs, publish weights and history."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from torch import nn

from coronet_core.common.literals import PRECISION_KEY, Precision, PrecisionChoice
from coronet_core.common.precision import choose_precision
from coronet_core.common.weights import save_weights
from coronet_core.learning.early_stopping import History
from coronet_core.learning.loop import EpochEnd, Learner, Schedule, fit
from coronet_core.support.whole_files import write_whole
from tasks.runtime.progress import Progress, log
from tasks.runtime.resume import discard
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tasks.runtime.tracking.system_metrics import system_metrics
from tasks.training.checkpoints import load_checkpoint, save_checkpoint
from tasks.training.trained_precision import FORMAT_NAMES

EPOCH: Final = "epoch"
TRAINING_LOSSES: Final = ("training_loss", "training_last_step_loss")
SHOWN = ("training_loss", "validation_loss", "training_accuracy", "validation_accuracy")


@dataclass(frozen=True)
class Trained:
    """A network that was trained."""

    network: nn.Module
    epochs: History
    precision: Precision


@dataclass(frozen=True, kw_only=True)
class NetworkNumber:
    """Which of a stage's networks is trained, counting from 1."""

    number: int
    total: int

    @property
    def prefix(self) -> str:
        """What the names of its metrics begin with in MLflow: nothing for the first."""
        return "" if self.number == 1 else f"network_{self.number}."

    @property
    def words(self) -> str:
        """What progress says of it: nothing where it is the only one."""
        return "" if self.total == 1 else f"network {self.number} of {self.total}, "


def train(
    context: StageContext,
    learner_with: Callable[..., Learner],
    precision: PrecisionChoice,
    schedule: Schedule,
    folder: Path | None,
    which: NetworkNumber = NetworkNumber(number=1, total=1),
) -> Trained:
    """Train what `learner_with(precision=...)` returns, resuming after the last finished epoch that is in `folder`.

    A checkpoint is resumed in its own number format. Of several ranks the first alone has a folder, writes and logs;
    the others take its checkpoint and its format.
    """
    ranks = context.distributed.ranks
    checkpoint = load_checkpoint(folder, ranks)
    chosen = _precision(context, precision, checkpoint)
    learner = learner_with(precision=chosen)
    if folder is None:
        return Trained(learner.model, fit(learner, schedule, resume=checkpoint), chosen)
    reason = f"precision: {precision}" if checkpoint is None else "as in the checkpoint"
    log(f"{which.words}number format: {FORMAT_NAMES[chosen]} ({reason})")
    context.tracking.tags({PRECISION_KEY: chosen})
    n_done = 0
    if checkpoint is not None:
        n_done = int(checkpoint["history"][-1]["epoch"])
        log(f"{which.words}resuming after epoch {n_done} of {schedule.epochs}")
        for metrics in checkpoint["history"]:
            log_epoch(context.tracking, metrics, which)
    images_per_epoch = max(1, round(learner.n_images * schedule.epoch_fraction))
    total = schedule.epochs * images_per_epoch

    def on_epoch(end: EpochEnd) -> None:
        save_checkpoint(folder, end)
        log_epoch(context.tracking, end.metrics | system_metrics(), which)
        shown = ", ".join(f"{name} {end.metrics[name]:.5f}" for name in SHOWN if name in end.metrics)
        progress = f"{which.words}epoch {end.metrics['epoch']:.0f}/{schedule.epochs}"
        log(f"{progress}: {shown}{' (best)' if end.is_best else ''}")
        bar.note(f"{which.words}{end.metrics['epoch']:.0f} of {schedule.epochs} epochs")

    with Progress(context.name, total, "images", done=n_done * images_per_epoch) as bar:
        epochs = fit(learner, schedule, resume=checkpoint, on_epoch=on_epoch, on_step=bar.advance)
    return Trained(learner.model, epochs, chosen)


def publish(
    context: StageContext,
    network: nn.Module,
    metadata: Mapping[str, str],
    weights: Path,
    epochs: pd.DataFrame,
    history: Path,
    folder: Path,
) -> None:
    """Write the weights and the history of a training that is done, and forget what would have resumed it.

    The history has the training's losses as columns also where no epoch was trained: they are blank.
    """
    epochs = epochs.reindex(columns=[*epochs, *(name for name in TRAINING_LOSSES if name not in epochs)])
    write_whole(history, lambda partial: epochs.to_csv(partial, index=False))
    save_weights(network, weights, metadata)
    discard(folder)
    for path in (weights, history):
        context.tracking.artifact(path)


def log_epoch(tracking: StageRun, metrics: Mapping[str, float], which: NetworkNumber) -> None:
    """Log the metrics of an epoch, which is their step."""
    values = {f"{which.prefix}{name}": value for name, value in metrics.items() if name != EPOCH}
    tracking.metrics(values, step=int(metrics[EPOCH]))


def _precision(context: StageContext, choice: PrecisionChoice, checkpoint: dict[str, Any] | None) -> Precision:
    """Return the format that `checkpoint` began with or, without one, the leader's: hosts need not be alike."""
    if checkpoint is not None:
        begun: Precision = checkpoint["precision"]
        return begun
    chosen = context.distributed.ranks.broadcast_bytes(choose_precision(choice, context.device).encode())
    return "bf16" if chosen == b"bf16" else "fp32"
