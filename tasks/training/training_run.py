"""What the two training stages share: resume, show progress, track epochs, publish weights and history."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from coronet_core.common.literals import PRECISION_KEY, Precision, PrecisionChoice
from coronet_core.common.precision import choose_precision
from coronet_core.common.weights import save_weights
from coronet_core.learning.loop import EpochEnd, Learner, Schedule, fit
from coronet_core.support.whole_files import write_whole
from tasks.runtime.progress import Progress, log
from tasks.runtime.resume import discard, resume_folder
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tasks.runtime.tracking.system_metrics import system_metrics
from tasks.training.checkpoints import load_checkpoint, save_checkpoint
from tasks.training.trained_precision import FORMAT_NAMES

EPOCH: Final = "epoch"
TRAINING_LOSSES: Final = ("training_loss", "training_last_step_loss")
SHOWN = ("training_loss", "validation_loss", "training_accuracy", "validation_accuracy")


def train(
    context: StageContext,
    learner_with: Callable[..., Learner],
    precision: PrecisionChoice,
    schedule: Schedule,
    work: str,
    weights: Path,
    history: Path,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Train what `learner_with(precision=...)` returns, resuming after the last finished epoch of the same `work`.

    A checkpoint is resumed in its own number format. Of several ranks the first alone writes and logs; the
    others take its checkpoint and its format. `metadata` is written with the weights.
    """
    ranks = context.distributed.ranks
    folder = resume_folder(context.name, work) if ranks.leads else None
    checkpoint = load_checkpoint(folder, ranks)
    chosen = _precision(context, precision, checkpoint)
    learner = learner_with(precision=chosen)
    if folder is None:
        fit(learner, schedule, resume=checkpoint)
        return
    reason = f"precision: {precision}" if checkpoint is None else "as in the checkpoint"
    log(f"number format: {FORMAT_NAMES[chosen]} ({reason})")
    context.tracking.tags({PRECISION_KEY: chosen})
    n_done = 0
    if checkpoint is not None:
        n_done = len(checkpoint["history"])
        log(f"resuming after epoch {n_done} of {schedule.epochs}")
        for metrics in checkpoint["history"]:
            log_epoch(context.tracking, metrics)
    images_per_epoch = max(1, round(learner.n_images * schedule.epoch_fraction))
    total = schedule.epochs * images_per_epoch

    def on_epoch(end: EpochEnd) -> None:
        save_checkpoint(folder, end)
        log_epoch(context.tracking, end.metrics | system_metrics())
        shown = ", ".join(f"{name} {end.metrics[name]:.5f}" for name in SHOWN if name in end.metrics)
        log(f"epoch {end.metrics['epoch']:.0f}/{schedule.epochs}: {shown}{' (best)' if end.is_best else ''}")
        bar.note(f"{end.metrics['epoch']:.0f} of {schedule.epochs} epochs")

    with Progress(context.name, total, "images", done=n_done * images_per_epoch) as bar:
        epochs = fit(learner, schedule, resume=checkpoint, on_epoch=on_epoch, on_step=bar.advance)
    table = pd.DataFrame(epochs)
    if schedule.epochs == 0:
        log_epoch(context.tracking, epochs[0])
        table = table.reindex(columns=[*table, *TRAINING_LOSSES])  # blank: there was no training
    write_whole(history, lambda partial: table.to_csv(partial, index=False))
    save_weights(learner.model, weights, {PRECISION_KEY: chosen, **(metadata or {})})
    discard(folder)
    for path in (weights, history):
        context.tracking.artifact(path)


def log_epoch(tracking: StageRun, metrics: Mapping[str, float]) -> None:
    """Log the metrics of an epoch, which is their step."""
    tracking.metrics({name: value for name, value in metrics.items() if name != EPOCH}, step=int(metrics[EPOCH]))


def _precision(context: StageContext, choice: PrecisionChoice, checkpoint: dict[str, Any] | None) -> Precision:
    """Return the format that `checkpoint` began with or, without one, the leader's: hosts need not be alike."""
    if checkpoint is not None:
        begun: Precision = checkpoint["precision"]
        return begun
    chosen = context.distributed.ranks.broadcast_bytes(choose_precision(choice, context.device).encode())
    return "bf16" if chosen == b"bf16" else "fp32"
