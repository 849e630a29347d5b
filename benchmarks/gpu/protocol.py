"""The paper's protocol by the clock: whole epochs of the real sizes, what all of them come to, and as many as go."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gpu import learners
from benchmarks.gpu.bench import Bench, Figures
from benchmarks.gpu.classifier import frozen_tfen
from benchmarks.gpu.data import BULK_BATCH
from benchmarks.gpu.goals import PROTOCOL
from benchmarks.gpu.images import drawn
from benchmarks.gpu.rows import NotMeasuredError
from benchmarks.gpu.sizes import Size
from coronet_core.autoencoder.residual_tensor import stored_residuals
from coronet_core.learning.early_stopping import History
from coronet_core.learning.loop import Learner, Schedule, fit

HEALTHY, PNEUMONIA, COVID, TEST = 7966, 8521, 89, 1953
"""Images of Table 1."""
TRAINING: Final = HEALTHY + PNEUMONIA + COVID
AUTOENCODER_EPOCHS: Final = 50
CIN_EPOCHS: Final = 10
AE_H, AE_P, RESIDUALS, CIN = "AE_H, an epoch", "AE_P, an epoch", "residual tensors of all images", "CIN, an epoch"
REPEATS: Final = {AE_H: AUTOENCODER_EPOCHS, AE_P: AUTOENCODER_EPOCHS, RESIDUALS: 1, CIN: CIN_EPOCHS}
MARGIN: Final = 1.2
"""An epoch is begun if so many times the last one's time is left."""


@dataclass(frozen=True)
class Training:
    """A network's part of the protocol."""

    name: str
    epochs: int
    learner: Callable[[], Learner]
    batch: int
    share: float
    """Of the time for real epochs that is left when it begins."""


@functools.cache
def images_of(size: Size) -> NDArray[np.uint8]:
    """Draw all images of Table 1 (n, H, W): healthy, pneumonia, COVID-19, test. Kept for the real epochs."""
    return drawn(sum(size.of(n) for n in (HEALTHY, PNEUMONIA, COVID, TEST)), size.side_px)


@functools.cache
def residuals_of_all(size: Size, device: torch.device) -> NDArray[np.float16]:
    """Compute the residual tensors (n, 3, H, W) of all images, as the stage does."""
    return stored_residuals(frozen_tfen(device), images_of(size), BULK_BATCH, "fp32", device)


def trainings(size: Size, device: torch.device) -> list[Training]:
    """Return the three trainings, in their order."""
    n_healthy, n_pneumonia = size.of(HEALTHY), size.of(PNEUMONIA)

    def autoencoder(first: int, n: int) -> Learner:
        return learners.autoencoder(images_of(size)[first : first + n], size.batch, device)

    def cin() -> Learner:
        n_training = n_healthy + n_pneumonia + size.of(COVID)
        inputs = learners.inputs_of(residuals_of_all(size, device)[:n_training], device)
        return learners.classifier(inputs, size.cin_batch)

    return [
        Training(AE_H, AUTOENCODER_EPOCHS, lambda: autoencoder(0, n_healthy), size.batch, 0.4),
        Training(AE_P, AUTOENCODER_EPOCHS, lambda: autoencoder(n_healthy, n_pneumonia), size.batch, 0.66),
        Training(CIN, CIN_EPOCHS, cin, size.cin_batch, 1.0),
    ]


def measure(bench: Bench) -> None:
    """Take an epoch of each network and all residual tensors, and reckon what the protocol takes."""
    ae_h, ae_p, cin = trainings(bench.size, bench.device)
    bench.row(AE_H, lambda: _an_epoch(ae_h))
    bench.row(AE_P, lambda: _an_epoch(ae_p))
    bench.row(RESIDUALS, lambda: _residuals(bench))
    bench.row(CIN, lambda: _an_epoch(cin))
    bench.row(PROTOCOL, lambda: _extrapolated(bench))


def measure_real_epochs(bench: Bench) -> None:
    """Train as far as the time allows, up to the whole protocol."""
    for training in trainings(bench.size, bench.device):
        ends = time.monotonic() + training.share * bench.seconds_left
        expected_s = bench.figure(training.name, "seconds") or 0.0
        bench.row(f"{training.name}: real ones", lambda t=training, s=expected_s, e=ends: _real_epochs(t, s, e))


def _an_epoch(training: Training) -> Figures:
    """Time a whole epoch, behind a few steps that plan and allocate."""
    learner = training.learner()
    fit(learner, _schedule(training, 1, epoch_fraction=0.02))
    began = time.perf_counter()
    history = fit(learner, _schedule(training, 1))
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "images": learner.n_images, "loss": history[-1]["validation_loss"]}


def _residuals(bench: Bench) -> Figures:
    images_of(bench.size)
    began = time.perf_counter()
    residuals = residuals_of_all(bench.size, bench.device)
    return {"seconds": time.perf_counter() - began, "images": len(residuals)}


def _extrapolated(bench: Bench) -> Figures:
    seconds = {part: bench.figure(part, "seconds") for part in REPEATS}
    if missing := [part for part, taken in seconds.items() if taken is None]:
        raise NotMeasuredError(f"needs {', '.join(missing)}")
    parts = {part: REPEATS[part] * float(taken or 0) for part, taken in seconds.items()}
    return {"seconds": sum(parts.values()), "seconds_of_autoencoders": parts[AE_H] + parts[AE_P]}


def _real_epochs(training: Training, expected_s: float, ends: float) -> Figures:
    """Train epoch by epoch, each from the checkpoint of the one before; `expected_s` is what the first may take."""
    learner = training.learner()
    kept: list[bytes] = []
    taken: list[float] = []
    history: History = []
    began = time.perf_counter()
    while len(taken) < training.epochs and time.monotonic() + MARGIN * (taken or [expected_s])[-1] < ends:
        epoch_began = time.perf_counter()
        resume = learners.read_checkpoint(kept.pop()) if kept else None
        history = fit(
            learner,
            _schedule(training, len(taken) + 1),
            resume=resume,
            on_epoch=lambda end: kept.append(learners.checkpoint_of(end)),
        )
        taken.append(time.perf_counter() - epoch_began)
    if not taken:
        raise NotMeasuredError("no time left for an epoch")
    return {
        "epochs": len(taken),
        "of": training.epochs,
        "seconds": time.perf_counter() - began,
        "fastest_s": min(taken),
        "slowest_s": max(taken),
        "first_loss": history[0]["validation_loss"],
        "last_loss": history[-1]["validation_loss"],
    }


def _schedule(training: Training, epochs: int, epoch_fraction: float = 1.0) -> Schedule:
    return Schedule(
        epochs=epochs,
        batch_size=training.batch,
        epoch_fraction=epoch_fraction,
        best_by="validation_loss",
        patience_epochs=None,
        seed=0,
    )
