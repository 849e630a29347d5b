"""Answers of the whole network: how long one image takes from host to host, and how many a second in batches."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.gpu import learners
from benchmarks.gpu.bench import Bench, Figures
from benchmarks.gpu.images import drawn
from benchmarks.speed.explainer import network
from coronet_core.autoencoder.residual_tensor import freeze
from coronet_core.classifier.coronet import CoroNet
from coronet_core.common.batches import as_image
from coronet_core.common.literals import Precision
from coronet_core.common.precision import autocast

Answer = Callable[[Tensor], Tensor]
"""Images (B, H, W) uint8 in, probabilities (B, 3) out, both in the host's memory."""


def frozen_network(device: torch.device) -> CoroNet:
    """Return an untrained CoroNet for inference."""
    coronet = network(device)
    freeze(coronet, device)
    return coronet


def answering(device: torch.device, *, precision: Precision = "fp32", is_compiled: bool = False) -> Answer:
    """Return the network as a function of images; compiled for each size of batch by itself."""
    coronet = frozen_network(device)
    if is_compiled:
        torch.compiler.reset()
        coronet.compile(dynamic=False)

    @torch.inference_mode()
    def answer(stored: Tensor) -> Tensor:
        with autocast(device, precision):
            predicted: Tensor = coronet(as_image(stored.to(device))).probabilities
        return predicted.cpu()

    return answer


def graphed_answering(device: torch.device, stored: Tensor) -> Answer:
    """Return the network as a CUDA graph for images of the shape of `stored`."""
    coronet = frozen_network(device)
    held = stored.to(device)
    made: list[Tensor] = []

    @torch.no_grad()
    def compute() -> None:
        made[:] = [coronet(as_image(held)).probabilities]

    replay = learners.graphed(compute, device)

    def answer(stored: Tensor) -> Tensor:
        held.copy_(stored)
        replay()
        return made[0].cpu()

    return answer


def measure(bench: Bench) -> None:
    """Measure one image, then batches; what is compiled comes last."""
    device, side = bench.device, bench.size.side_px
    one = torch.from_numpy(drawn(1, side))
    many = [torch.from_numpy(drawn(batch, side)) for batch in bench.size.answered]
    bench.row("one image", lambda: _latency(bench, answering(device), one))
    bench.row("one image, CUDA graph", lambda: _latency(bench, graphed_answering(device, one), one))
    for images in many:
        name = f"{len(images)} images"
        bench.row(name, lambda images=images: _throughput(bench, answering(device), images))
        bench.row(
            f"{name}, bf16", lambda images=images: _throughput(bench, answering(device, precision="bf16"), images)
        )
    bench.row("one image, compiled", lambda: _latency(bench, answering(device, is_compiled=True), one))
    largest = many[-1]
    bench.row(
        f"{len(largest)} images, compiled",
        lambda: _throughput(bench, answering(device, is_compiled=True), largest),
    )


def _latency(bench: Bench, answer: Answer, image: Tensor) -> Figures:
    return {"ms": 1000 * bench.seconds_of(lambda: answer(image))}


def _throughput(bench: Bench, answer: Answer, images: Tensor) -> Figures:
    return {"images_per_s": len(images) / bench.seconds_of(lambda: answer(images))}
