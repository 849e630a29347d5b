"""What `fit` trains, on images and residual tensors in memory."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.gpu.images import Stack, drawn
from benchmarks.gpu.rows import NotMeasuredError
from benchmarks.speed.steps import step_of
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.fpae_learner import autoencoder_learner
from coronet_core.autoencoder.objective import autoencoder_loss
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.cin_learner import cin_learner
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import Subset, as_image
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import Precision, PrecisionChoice
from coronet_core.common.precision import autocast, choose_precision
from coronet_core.learning.loop import EpochEnd, Learner

LEARNING_RATE = 1e-4
GRAPH_WARM_UP = 3
ALL_CLASSES = range(len(CLASSES))


def subset(rows: NDArray[np.generic], device: torch.device) -> Subset:
    """Return all `rows` as a training reads them."""
    return Subset(Stack(rows), range(len(rows)), device)  # type: ignore[arg-type]  # takes rows as Shards does


def autoencoder(
    images: NDArray[np.uint8], batch: int, device: torch.device, precision: PrecisionChoice = "auto"
) -> Learner:
    """Return a learner of an autoencoder on `images`, (n, H, W); a tenth of them validates."""
    validation = images[: max(1, len(images) // 10)]
    return autoencoder_on(subset(images, device), subset(validation, device), batch, precision)


def autoencoder_on(training: Subset, validation: Subset, batch: int, precision: PrecisionChoice = "auto") -> Learner:
    """Return a learner of an untrained autoencoder, as the paper's preset has it."""
    torch.manual_seed(0)
    return autoencoder_learner(
        FPAE(),
        training,
        validation,
        learning_rate=LEARNING_RATE,
        weight_decay=0.001,
        regulariser_weight=1.0,
        batch_size=batch,
        precision=choose_precision(precision, training.device),
        training_size_px=None,
    )


def classifier(inputs: CinInputs, batch: int, precision: PrecisionChoice = "auto") -> Learner:
    """Return a learner of an untrained CIN, as the paper's preset has it: all classes are flipped both ways."""
    torch.manual_seed(0)
    labels = torch.arange(len(inputs)) % len(CLASSES)
    return cin_learner(
        build_cin(),
        inputs,
        labels,
        inputs,
        labels,
        learning_rate=1e-3,
        weight_decay=0.0,
        class_weights=torch.ones(len(CLASSES)),
        horizontal_flip=ALL_CLASSES,
        vertical_flip=ALL_CLASSES,
        batch_size=batch,
        precision=choose_precision(precision, inputs.device),
    )


def inputs_of(residuals: NDArray[np.float16], device: torch.device) -> CinInputs:
    """Return residual tensors (n, 3, H, W) as the CIN reads them."""
    no_images = np.empty((0, *residuals.shape[2:]), dtype=np.uint8)
    return CinInputs("residual_tensor", Subset(Stack(no_images), [], device), subset(residuals, device))  # type: ignore[arg-type]


def autoencoder_step(
    side_px: int, batch: int, device: torch.device, precision: PrecisionChoice = "auto"
) -> Callable[[], Tensor]:
    """Return our training step of an autoencoder on a batch of drawn images."""
    return step_of(autoencoder(drawn(batch, side_px), batch, device, precision))


def compiled_autoencoder_step(side_px: int, batch: int, device: torch.device) -> Callable[[], Tensor]:
    """Return the same step with all of eq. (3) in one compiled function."""
    torch.compiler.reset()
    images = drawn(batch, side_px)
    learner, resident = autoencoder(images, batch, device), subset(images, device)
    network: FPAE = learner.model  # type: ignore[assignment]

    @torch.compile(dynamic=False)
    def loss_of(image: Tensor) -> Tensor:
        return autoencoder_loss(network, image, 1.0).loss

    def training_step(positions: Tensor, _: torch.Generator) -> dict[str, Tensor]:
        image = as_image(resident.take(positions))
        with autocast(device, learner.precision):
            return {"loss": loss_of(image)}

    capturable(learner.optimizer)
    return step_of(replace(learner, training_step=training_step))


def graphed_autoencoder_step(side_px: int, batch: int, device: torch.device) -> Callable[[], object]:
    """Return our step as one CUDA graph."""
    learner = autoencoder(drawn(batch, side_px), batch, device)
    capturable(learner.optimizer)
    return graphed(step_of(learner), device)


def checkpoint_of(end: EpochEnd) -> bytes:
    """Return the state behind an epoch as the stages write it."""
    file = io.BytesIO()
    torch.save(end.checkpoint(), file)
    return file.getvalue()


def read_checkpoint(content: bytes) -> dict[str, Any]:
    """Read it as the stages do."""
    checkpoint: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return checkpoint


def capturable(optimizer: torch.optim.Optimizer) -> None:
    """Let a CUDA graph hold this Adam's steps."""
    for group in optimizer.param_groups:
        group["capturable"] = True


def graphed(step: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Return `step` as one CUDA graph, with all that it computes from memory that stays where it is."""
    if device.type != "cuda":
        raise NotMeasuredError("CUDA graphs need a GPU")
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(GRAPH_WARM_UP):
            step()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay(_: Callable[[], object] = step) -> None:  # holds the step: its tensors must live as long as the graph
        graph.replay()

    return replay


def format_of(device: torch.device) -> Precision:
    """Return the number format that training takes on `device` by itself."""
    return choose_precision("auto", device)
