"""A training step of the FPAE in every way: plain as the 2020 code has it, ours, compiled, as CUDA graphs."""

import functools
from collections.abc import Callable

import torch

from benchmarks.gpu import learners
from benchmarks.gpu.bench import Bench, Figures
from benchmarks.gpu.card import RATES
from benchmarks.gpu.images import drawn
from benchmarks.gpu.rows import NotMeasuredError
from benchmarks.speed import plain
from benchmarks.speed.floor import count
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.common.literals import PrecisionChoice

Step = Callable[[], object]
COUNTED = 2
"""Images of the step whose bytes are counted."""


def plain_step(side_px: int, batch: int, device: torch.device) -> Step:
    """Eager, float32, channels first, images from the host in each step; convolutions in tf32, torch's default."""
    torch.manual_seed(0)
    network = plain.autoencoder(FPAE().state_dict()).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=learners.LEARNING_RATE, weight_decay=0.001)
    stored = torch.from_numpy(drawn(batch, side_px))
    return lambda: plain.autoencoder_step(network, optimizer, stored.to(device)[:, None].float() / 255)


def channels_first_step(side_px: int, batch: int, device: torch.device) -> Step:
    """Our step with tensors channels first."""
    learner = learners.autoencoder(drawn(batch, side_px), batch, device)
    learner.model.to(memory_format=torch.contiguous_format)
    learner.model.register_forward_pre_hook(
        lambda _, inputs: tuple(x.clone(memory_format=torch.contiguous_format) for x in inputs)
    )
    return learners.step_of(learner)


def measure_ways(bench: Bench) -> None:
    """Measure the ways that take no time to prepare, with the paper's batch."""
    side, batch, device = bench.size.side_px, bench.size.batch, bench.device
    ways: dict[str, Callable[[], Step]] = {
        "plain": lambda: plain_step(side, batch, device),
        "ours": lambda: learners.autoencoder_step(side, batch, device),
        "ours, channels first": lambda: channels_first_step(side, batch, device),
        "ours, CUDA graph": lambda: learners.graphed_autoencoder_step(side, batch, device),
    }
    for way, make in ways.items():
        bench.row(f"{way}, batch {batch}", lambda make=make: figures_of(bench, make(), batch))
    bench.row(
        f"ours, fp32, batch {batch}",
        lambda: figures_of(bench, learners.autoencoder_step(side, batch, device, "fp32"), batch, "fp32"),
    )
    bench.row(f"ours, cudnn.benchmark, batch {batch}", lambda: _with_cudnn_benchmark(bench))


def measure_batches(bench: Bench) -> None:
    """Seek the batch with the most images a second."""
    for batch in bench.size.batches[1:]:
        bench.row(
            f"ours, batch {batch}",
            lambda batch=batch: figures_of(
                bench, learners.autoencoder_step(bench.size.side_px, batch, bench.device), batch
            ),
        )
        if bench.rows[-1].reason:
            return


def measure_compiled(bench: Bench) -> None:
    """Measure the compiled step with the paper's batch."""
    _measure_compiled(bench, bench.size.batch)


def measure_best_batch(bench: Bench) -> None:
    """Measure the other ways with the batch that was found best."""
    batch = best_batch(bench)
    if batch == bench.size.batch:
        raise NotMeasuredError(f"the best batch is {batch}, which is measured already")
    side, device = bench.size.side_px, bench.device
    bench.row(f"plain, batch {batch}", lambda: figures_of(bench, plain_step(side, batch, device), batch))
    bench.row(
        f"ours, CUDA graph, batch {batch}",
        lambda: figures_of(bench, learners.graphed_autoencoder_step(side, batch, device), batch),
    )
    _measure_compiled(bench, batch)


def best_batch(bench: Bench) -> int:
    """Return the batch with the most images a second of our step."""
    rates = {batch: bench.figure(f"ours, batch {batch}", "images_per_s") or 0.0 for batch in bench.size.batches}
    return max(rates, key=lambda batch: rates[batch])


def figures_of(bench: Bench, step: Step, images: int, precision: PrecisionChoice = "auto") -> Figures:
    """Time a step of so many images."""
    return rates_of(bench, bench.seconds_of(step), images, precision)


def rates_of(bench: Bench, seconds: float, images: int, precision: PrecisionChoice = "auto") -> Figures:
    """Return what so many images in so many seconds come to: rates, and how they compare.

    The bytes are those that the convolutions of our eager step must move in that number format, however it is
    computed: with all that lies between them for nothing.
    """
    gb = images * _gb_of_an_image(bench.size.side_px, bench.device, precision)
    figures: Figures = {"ms": 1000 * seconds, "images_per_s": images / seconds, "gb_per_s": gb / seconds}
    if copy := bench.figure(RATES, "copy_gb_per_s"):
        figures["copy_share"] = gb / seconds / copy
    plain_rates = (bench.figure(f"plain, batch {batch}", "images_per_s") for batch in (images, bench.size.batch))
    if rate := next((rate for rate in plain_rates if rate), None):
        figures["times_plain"] = images / seconds / rate
    return figures


def _measure_compiled(bench: Bench, batch: int) -> None:
    made: list[Step] = []

    def compiled() -> Figures:
        step = learners.compiled_autoencoder_step(bench.size.side_px, batch, bench.device)
        made.append(step)
        return figures_of(bench, step, batch)

    def graphed() -> Figures:
        if not made:
            raise NotMeasuredError("what is to be captured was not compiled")
        return figures_of(bench, learners.graphed(made[0], bench.device), batch)

    bench.row(f"compiled, batch {batch}", compiled)
    bench.row(f"compiled, CUDA graph, batch {batch}", graphed)


def _with_cudnn_benchmark(bench: Bench) -> Figures:
    if bench.device.type != "cuda":
        raise NotMeasuredError("cuDNN needs a GPU")
    batch = bench.size.batch
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True):
        return figures_of(bench, learners.autoencoder_step(bench.size.side_px, batch, bench.device), batch)


@functools.cache
def _gb_of_an_image(side_px: int, device: torch.device, precision: PrecisionChoice) -> float:
    return count(learners.autoencoder_step(side_px, COUNTED, device, precision))["gb"] / COUNTED
