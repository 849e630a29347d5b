"""How data reach the GPU: residual tensors in bulk from host memory, and images that stay there or are copied."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.gpu import learners
from benchmarks.gpu.autoencoder import figures_of
from benchmarks.gpu.bench import Bench, Figures
from benchmarks.gpu.classifier import frozen_tfen
from benchmarks.gpu.images import drawn
from benchmarks.gpu.rows import NotMeasuredError
from benchmarks.speed.steps import step_of
from coronet_core.autoencoder.residual_tensor import TFEN, residuals_of, stored_residuals
from coronet_core.common.batches import Subset, as_image

Bulk = Callable[[NDArray[np.uint8]], NDArray[np.float16]]
"""Images (n, H, W) in, residual tensors (n, 3, H, W) out, both in the host's memory."""
IN_BULK = 4096
BULK_BATCH = 64
"""As the paper's preset has it."""
RESIDENT = 2048


class PinnedSubset(Subset):
    """Images that stay in the host's memory; a batch is gathered there and copied, as loaders do."""

    def __init__(self, images: NDArray[np.uint8], batch: int, device: torch.device) -> None:
        if device.type != "cuda":
            raise NotMeasuredError("pinned memory needs a GPU")
        self._images = torch.from_numpy(images)
        self._staged = torch.empty(batch, *images.shape[1:], dtype=torch.uint8).pin_memory()
        self.device = device

    def __len__(self) -> int:
        return len(self._images)

    def take(self, positions: Tensor) -> Tensor:
        """Return the images at `positions`, which are on the CPU."""
        torch.cuda.current_stream(self.device).synchronize()  # the copy before has to be over
        staged = self._staged[: len(positions)]
        torch.index_select(self._images, 0, positions, out=staged)
        return staged.to(self.device, non_blocking=True)


def measure(bench: Bench) -> None:
    """Measure both."""
    side, batch, device = bench.size.side_px, bench.size.batch, bench.device
    images = drawn(bench.size.of(IN_BULK), side)
    for name, way in bulk_ways(device).items():
        bench.row(f"residuals in bulk, {name}", lambda way=way: _bulk_figures(way, images))
    few = images[: bench.size.of(RESIDENT)]
    bench.row("batches of images, on the device", lambda: _batches(bench, learners.subset(few, device)))
    bench.row("batches of images, pinned copies", lambda: _batches(bench, PinnedSubset(few, batch, device)))
    bench.row(f"ours, pinned copies, batch {batch}", lambda: figures_of(bench, _pinned_step(bench), batch))


def bulk_ways(device: torch.device) -> dict[str, Bulk]:
    """Return ways to compute residual tensors of images: as the stage does, and with copies that overlap."""
    tfen = frozen_tfen(device)
    return {
        "fp32": lambda images: stored_residuals(tfen, images, BULK_BATCH, "fp32", device),
        "bf16": lambda images: stored_residuals(tfen, images, BULK_BATCH, "bf16", device),
        "fp32, overlapped": lambda images: overlapped_residuals(tfen, images, BULK_BATCH, device),
    }


def overlapped_residuals(
    tfen: TFEN, images: NDArray[np.uint8], batch: int, device: torch.device
) -> NDArray[np.float16]:
    """Return what `stored_residuals` does, each batch brought home while the next is computed."""
    if device.type != "cuda":
        raise NotMeasuredError("copies that overlap need a GPU")
    residuals = np.empty((len(images), 3, *images.shape[1:]), dtype=np.float16)
    staged = [torch.empty(batch, *residuals.shape[1:], dtype=torch.float16).pin_memory() for _ in range(2)]
    copied = [torch.cuda.Event() for _ in range(2)]
    starts = range(0, len(images), batch)

    def bring_home(number: int) -> None:
        copied[number % 2].synchronize()
        part = residuals[starts[number] : starts[number] + batch]
        part[:] = staged[number % 2][: len(part)].numpy()

    for number, start in enumerate(starts):
        stored = torch.from_numpy(images[start : start + batch]).pin_memory().to(device, non_blocking=True)
        residual = residuals_of(tfen, as_image(stored), "fp32").half()
        staged[number % 2][: len(residual)].copy_(residual, non_blocking=True)
        copied[number % 2].record()
        if number:
            bring_home(number - 1)
    bring_home(len(starts) - 1)
    return residuals


def _bulk_figures(way: Bulk, images: NDArray[np.uint8]) -> Figures:
    way(images[:BULK_BATCH])  # plans and allocates
    began = time.perf_counter()
    way(images)
    seconds = time.perf_counter() - began
    return {"images_per_s": len(images) / seconds, "seconds": seconds}


def _batches(bench: Bench, images: Subset) -> Figures:
    """Time the taking of one batch after another, as network input."""
    place = torch.device("cpu") if isinstance(images, PinnedSubset) else bench.device
    order = torch.randperm(len(images)).to(place)
    parts = order.split(bench.size.batch)

    def take_all() -> None:
        for positions in parts:
            as_image(images.take(positions))

    return {"images_per_s": len(images) / bench.seconds_of(take_all)}


def _pinned_step(bench: Bench) -> Callable[[], Tensor]:
    """Return our training step with its images copied from pinned memory."""
    batch, device = bench.size.batch, bench.device
    images = PinnedSubset(drawn(batch, bench.size.side_px), batch, device)
    learner = learners.autoencoder_on(images, images, batch)
    positions = torch.arange(batch)  # on the CPU, where the images are
    return step_of(replace(learner, training_step=lambda _, rng: learner.training_step(positions, rng)))
