"""The explainer: all images at once against one by one, which is extrapolated from a few iterations of a few images."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile

import torch
from torch import Tensor

from benchmarks.gpu.bench import Bench, Figures, fitting
from benchmarks.gpu.goals import BATCHED
from benchmarks.gpu.images import image_batch
from benchmarks.speed.explainer import fong, network, our_maps, plain_map
from coronet_core.autoencoder.residual_tensor import freeze

FEW_IMAGES = 2
FEW_ITERATIONS = 20
PLAIN, ALONE = "one by one, as scripts of 2020", "one by one, by our function"


def measure(bench: Bench) -> None:
    """Measure one by one both ways, then all at once."""
    device = bench.device
    images = image_batch(bench.size.explained, bench.size.side_px, device)
    target = torch.ones(len(images), dtype=torch.int64, device=device)
    plain_network, frozen = network(device), network(device)
    freeze(frozen, device)
    few, settings = images[:FEW_IMAGES], fong(min(FEW_ITERATIONS, bench.size.iterations))

    def plain(iterations: int) -> Tensor:
        one = replace(settings, iterations=iterations)
        return torch.cat([plain_map(plain_network, image[None], 1, one) for image in few])

    def ours(images: Tensor, iterations: int, batch: int) -> Tensor:
        return our_maps(frozen, images, target[: len(images)], replace(settings, iterations=iterations), batch)

    bench.row(PLAIN, lambda: _extrapolated(bench, plain, settings.iterations))
    bench.row(ALONE, lambda: _extrapolated(bench, lambda n: ours(few, n, 1), settings.iterations))
    batches = [len(images) // parts for parts in takewhile(lambda parts: parts <= len(images), (1, 2, 4, 8, 16))]
    bench.row(BATCHED, lambda: fitting(batches, lambda batch: _batched(bench, lambda n: ours(images, n, batch), batch)))


def _extrapolated(bench: Bench, explain: Callable[[int], Tensor], iterations: int) -> Figures:
    explain(1)
    ms = 1000 * _seconds(lambda: explain(iterations)) / FEW_IMAGES / iterations
    whole = ms / 1000 * bench.size.explained * bench.size.iterations
    return {"ms_per_image_and_iteration": ms, "seconds_extrapolated": whole}


def _batched(bench: Bench, explain: Callable[[int], Tensor], batch: int) -> Figures:
    """Time all iterations or, where they would not end in time, a few and extrapolate."""
    explain(1)
    iterations = min(FEW_ITERATIONS, bench.size.iterations)
    seconds = _seconds(lambda: explain(iterations)) / iterations * bench.size.iterations
    is_whole = seconds < bench.seconds_left
    if is_whole:
        seconds = _seconds(lambda: explain(bench.size.iterations))
    figures: Figures = {"seconds": seconds, "extrapolated": not is_whole, "batch": batch}
    for name, way in (("times_plain", PLAIN), ("times_alone", ALONE)):
        if alone := bench.figure(way, "seconds_extrapolated"):
            figures[name] = alone / seconds
    return figures


def _seconds(action: Callable[[], Tensor]) -> float:
    began = time.perf_counter()
    action().cpu()  # waits for a GPU
    return time.perf_counter() - began
