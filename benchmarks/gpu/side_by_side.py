"""Both autoencoders at once on one GPU: two processes, two streams, or one network that stacks both."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from benchmarks.gpu import learners
from benchmarks.gpu.autoencoder import Step, figures_of, rates_of
from benchmarks.gpu.bench import Bench, Figures
from benchmarks.gpu.images import drawn
from benchmarks.gpu.rows import NotMeasuredError
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.objective import autoencoder_loss
from coronet_core.common.batches import as_image
from coronet_core.common.precision import autocast

BOTH = 2
WARM_UP = 3
_meeting: list[Any] = []
"""The barrier of a process of `two_processes`."""


def measure(bench: Bench) -> None:
    """Measure each way; images are those of both autoencoders, and `times_plain` compares with one after the other."""
    side, batch, device = bench.size.side_px, bench.size.batch, bench.device
    ways: dict[str, Callable[[], Step]] = {
        "two streams": lambda: two_streams(bench, learners.autoencoder_step),
        "two streams of CUDA graphs": lambda: two_streams(bench, learners.graphed_autoencoder_step),
        "one stacked network": lambda: stacked_step(side, batch, device),
        "one stacked network, CUDA graph": lambda: learners.graphed(stacked_step(side, batch, device), device),
        "one stacked network, compiled": lambda: stacked_step(side, batch, device, is_compiled=True),
    }
    bench.row("both, two processes", lambda: two_processes(bench))
    for way, make in ways.items():
        bench.row(f"both, {way}", lambda make=make: figures_of(bench, make(), BOTH * batch))


def two_processes(bench: Bench) -> Figures:
    """Train in two processes at the same time, as the two stages do."""
    context = get_context("spawn")
    meeting = context.Barrier(BOTH)
    arguments = (bench.size.side_px, bench.size.batch, str(bench.device), bench.size.timed_s, bench.seconds_left)
    with ProcessPoolExecutor(BOTH, mp_context=context, initializer=_agree_on, initargs=(meeting,)) as pool:
        steps = [pool.submit(_steps_a_second, *arguments) for _ in range(BOTH)]
        seconds = BOTH / sum(one.result() for one in steps)
    return rates_of(bench, seconds, BOTH * bench.size.batch)


def two_streams(bench: Bench, make: Callable[[int, int, torch.device], Step]) -> Step:
    """Return a step of two that `make` makes, each on its stream, begun one behind the other."""
    if bench.device.type != "cuda":
        raise NotMeasuredError("streams need a GPU")
    steps = [make(bench.size.side_px, bench.size.batch, bench.device) for _ in range(BOTH)]
    streams = [torch.cuda.Stream(bench.device) for _ in range(BOTH)]
    bench.synchronize()

    def step() -> None:
        for one, stream in zip(steps, streams, strict=True):
            with torch.cuda.stream(stream):
                one()

    return step


class Objective(nn.Module):
    """Eq. (3) of an autoencoder as a module: images (B, 1, H, W) in, loss out."""

    def __init__(self) -> None:
        super().__init__()
        self.network = FPAE()

    def forward(self, image: Tensor) -> Tensor:
        """Return the loss, 0-d."""
        return autoencoder_loss(self.network, image, 1.0).loss


def stacked_step(side_px: int, batch: int, device: torch.device, *, is_compiled: bool = False) -> Callable[[], Tensor]:
    """Return a step of both autoencoders as one network, whose convolutions have a group for each; it returns (2,)."""
    torch.manual_seed(0)
    networks = [Objective().to(device) for _ in range(BOTH)]
    parameters, buffers = stack_module_state(networks)
    precision = learners.format_of(device)
    stored = torch.from_numpy(drawn(BOTH * batch, side_px)).to(device)  # (2 B, H, W)
    optimizer = torch.optim.Adam(parameters.values(), lr=learners.LEARNING_RATE, weight_decay=0.001, fused=True)
    learners.capturable(optimizer)

    def loss_of(parameters: dict[str, Tensor], buffers: dict[str, Tensor], image: Tensor) -> Tensor:
        return functional_call(networks[0], (parameters, buffers), (image,))

    losses_of = torch.vmap(loss_of)
    if is_compiled:
        torch.compiler.reset()
        losses_of = torch.compile(losses_of, dynamic=False)

    def step() -> Tensor:
        image = as_image(stored).unflatten(0, (BOTH, batch))  # (2, B, 1, H, W)
        with autocast(device, precision):
            losses = losses_of(parameters, buffers, image)  # (2,)
        optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        optimizer.step()
        return losses.detach()

    return step


def _agree_on(meeting: Any) -> None:
    _meeting[:] = [meeting]


def _steps_a_second(side_px: int, batch: int, device: str, at_least_s: float, retry_for_s: float) -> float:
    """Train in this process, beginning when the other does; returns the steps a second."""
    place = torch.device(device)
    step = learners.autoencoder_step(side_px, batch, place)
    for _ in range(WARM_UP):
        float(step())  # waits for the device, as `fit` does once an epoch
    _meeting[0].wait(retry_for_s)
    began = time.perf_counter()
    steps = 0
    while steps == 0 or time.perf_counter() - began < 2 * at_least_s:
        float(step())
        steps += 1
    return steps / (time.perf_counter() - began)
