"""A training step of the CIN: from residual tensors that are there, and with the autoencoders recomputed each time."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.gpu import learners
from benchmarks.gpu.bench import Bench, Figures
from benchmarks.gpu.images import drawn
from benchmarks.speed import plain
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_tensor import TFEN, freeze, residuals_of, stored_residuals
from coronet_core.classifier.architectures import build_cin
from coronet_core.common.batches import Subset, as_image
from coronet_core.common.classes import CLASSES

Step = Callable[[], object]
PLAIN = "CIN, plain, recomputed"


class Recomputed:
    """The CIN's inputs without shards: residual tensors of images, computed for each batch."""

    def __init__(self, tfen: TFEN, images: Subset) -> None:
        self._tfen = tfen
        self._images = images
        self.device = images.device

    def __len__(self) -> int:
        return len(self._images)

    def take(self, positions: Tensor) -> Tensor:
        """Return the residual tensors (B, 3, H, W) at `positions`."""
        return residuals_of(self._tfen, as_image(self._images.take(positions)), "fp32").clone()

    def draw(self, positions: Tensor, _epoch_seed: int) -> Tensor:
        """Return what `take` returns: nothing is augmented."""
        return self.take(positions)


def frozen_tfen(device: torch.device) -> TFEN:
    """Return untrained autoencoders for inference."""
    torch.manual_seed(0)
    tfen = TFEN(FPAE(), FPAE())
    freeze(tfen, device)
    return tfen


def plain_step(bench: Bench, *, is_recomputed: bool) -> Step:
    """Eager, float32, channels first, from the host in each step."""
    device, batch = bench.device, bench.size.cin_batch
    images = drawn(batch, bench.size.side_px)
    stored = torch.from_numpy(stored_residuals(frozen_tfen(device), images, batch, "fp32", device))
    networks = [plain.autoencoder(FPAE().state_dict()).to(device).eval() for _ in range(2)]
    torch.manual_seed(0)
    cin = build_cin().to(device)
    optimizer = torch.optim.Adam(cin.parameters(), lr=1e-3)
    labels = (torch.arange(batch) % len(CLASSES)).to(device)

    def step() -> float:
        if is_recomputed:
            image = torch.from_numpy(images).to(device)[:, None].float() / 255
            return plain.cin_step(cin, optimizer, plain.residual_tensor(networks, image), labels)
        return plain.cin_step(cin, optimizer, stored.to(device).float(), labels)

    return step


def our_step(bench: Bench, *, is_recomputed: bool, is_compiled: bool = False) -> Step:
    """As `fit` does it, from residual tensors on the device or, as no stage does, recomputed."""
    device, batch = bench.device, bench.size.cin_batch
    images, tfen = drawn(batch, bench.size.side_px), frozen_tfen(device)
    if is_recomputed:
        inputs = Recomputed(tfen, learners.subset(images, device))
    else:
        inputs = learners.inputs_of(stored_residuals(tfen, images, batch, "fp32", device), device)
    learner = learners.classifier(inputs, batch)
    if is_compiled:
        torch.compiler.reset()
        learner.model.compile(dynamic=False)
    return learners.step_of(learner)


def measure(bench: Bench) -> None:
    """Measure all ways with the paper's batch."""
    ways: dict[str, Callable[[], Step]] = {
        PLAIN: lambda: plain_step(bench, is_recomputed=True),
        "CIN, plain, from shards": lambda: plain_step(bench, is_recomputed=False),
        "CIN, ours, recomputed": lambda: our_step(bench, is_recomputed=True),
        "CIN, ours, from shards": lambda: our_step(bench, is_recomputed=False),
        "CIN, ours, from shards, compiled": lambda: our_step(bench, is_recomputed=False, is_compiled=True),
    }
    for way, make in ways.items():
        bench.row(way, lambda make=make: _figures(bench, make()))


def _figures(bench: Bench, step: Step) -> Figures:
    rate = bench.size.cin_batch / bench.seconds_of(step)
    figures: Figures = {"ms": 1000 * bench.size.cin_batch / rate, "images_per_s": rate}
    plain_rate = bench.figure(PLAIN, "images_per_s")
    return figures | ({"times_plain_recomputed": rate / plain_rate} if plain_rate else {})
