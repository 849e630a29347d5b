"""What the two training stages share: resume, show progress, track epochs, publish weights and history."""

from pathlib import Path

import pandas as pd

from coronet_core.training.loop import EpochEnd, Learner, Schedule, fit
from coronet_core.weights import save_weights
from coronet_core.whole_files import write_whole
from tasks.checkpoint import load_checkpoint, save_checkpoint
from tasks.progress import Progress, say
from tasks.resume import discard, resume_folder
from tasks.stage import StageContext

SHOWN = ("training_loss", "validation_loss", "training_accuracy", "validation_accuracy")


def train(context: StageContext, learner: Learner, schedule: Schedule, work: str, weights: Path, history: Path) -> None:
    """Train `learner`, going on from the last epoch that an earlier run of the same `work` finished.

    Of several ranks the first alone writes and speaks; the others go on from its checkpoint.
    """
    if not learner.ranks.leads:
        fit(learner, schedule, resume=load_checkpoint(None, learner.ranks))
        return
    folder = resume_folder(context.name, work)
    checkpoint = load_checkpoint(folder, learner.ranks)
    n_done = 0
    if checkpoint is not None:
        n_done = len(checkpoint["history"])
        say(f"resuming after epoch {n_done} of {schedule.epochs}")
        for metrics in checkpoint["history"]:
            context.tracking.metrics(metrics, step=int(metrics["epoch"]))
    images_per_epoch = max(1, round(learner.n_images * schedule.epoch_fraction))
    total = schedule.epochs * images_per_epoch

    def on_epoch(end: EpochEnd) -> None:
        save_checkpoint(folder, end)
        context.tracking.metrics(end.metrics, step=int(end.metrics["epoch"]))
        shown = ", ".join(f"{name} {end.metrics[name]:.5f}" for name in SHOWN if name in end.metrics)
        say(f"epoch {end.metrics['epoch']:.0f}/{schedule.epochs}: {shown}{' (best)' if end.is_best else ''}")
        bar.note(f"{end.metrics['epoch']:.0f} of {schedule.epochs} epochs")

    with Progress(context.name, total, "images", done=n_done * images_per_epoch) as bar:
        epochs = fit(learner, schedule, resume=checkpoint, on_epoch=on_epoch, on_step=bar.advance)
    write_whole(history, lambda partial: pd.DataFrame(epochs).to_csv(partial, index=False))
    save_weights(learner.model, weights)
    discard(folder)
    for path in (weights, history):
        context.tracking.artifact(path)
