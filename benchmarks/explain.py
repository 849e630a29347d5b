"""Speed of the explainer: `python -m benchmarks.explain [--images 64] [--iterations 5] [--side 224] [--batch-size 4]`.

Meaningful perturbation of X through both autoencoders and the CIN, three ways in turns in one process:

- plain: one image after the other as scripts of 2020 do it: a mask that is upsampled and blurred by a convolution,
  float32 in the default memory format, and `backward()` through networks whose weights still want gradients;
- alone: our function, one image at a time;
- together: our function, `--batch-size` images at a time.

The time of an iteration does not change, so a few of them suffice. Two ratios by round, their median and
spread, in `benchmarks/explain.json`: of the time on the clock and of the CPU's, which other jobs on the machine disturb
less. Maps of all three are compared: in float64, where they have to be equal, and in float32, where Adam makes rounding
visible. Runs on a GPU where there is one.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.speed.explainer import fong, network, our_maps, plain_map
from coronet_core.autoencoder.residual_tensor import freeze
from coronet_core.common.cpu_count import usable_cores
from coronet_core.data.sources import phantom

TOLERANCE = 1e-6
"""Largest difference of two maps in float64 that counts as rounding."""
COMPARED = 2
"""Images whose maps are compared in float64."""
RESULTS = Path(__file__).with_name("explain.json")


def chests(n_images: int, side_px: int) -> Tensor:
    """Draw phantoms (n, 1, H, W) float32 in [0, 1]."""
    drawn = [phantom.draw(9, "pneumonia", f"benchmark-{i}", 0, side_px)[0] for i in range(n_images)]
    return torch.stack([torch.from_numpy(pixels.copy()) for pixels in drawn])[:, None].float() / 255


def timed(action: Callable[[], Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Return the maps and the seconds that they took, on the clock and of all threads."""
    clock, cpu = time.perf_counter(), time.process_time()
    maps = action().cpu()  # waits for a GPU
    return maps, {"clock": time.perf_counter() - clock, "cpu": time.process_time() - cpu}


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, object]:
    """Time all three ways in turns, and compare their maps."""
    settings = fong(options.iterations)
    images = chests(options.images, options.side).to(device)
    plain_network, frozen = network(device), network(device)
    freeze(frozen, device)
    with torch.no_grad():
        target = frozen(images[:1]).probabilities.argmax(dim=1).expand(len(images))
    ways: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: torch.cat([plain_map(plain_network, one[None], int(target[0]), settings) for one in images]),
        "alone": lambda: our_maps(frozen, images, target, settings, 1),
        "together": lambda: our_maps(frozen, images, target, settings, options.batch_size),
    }
    our_maps(frozen, images[: options.batch_size], target[: options.batch_size], settings, options.batch_size)
    plain_map(plain_network, images[:1], int(target[0]), settings)
    seconds: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        found = {}
        for way, action in ways.items():
            found[way], took = timed(action)
            seconds[way].append(took)
    apart = largest_differences(found)
    images, target = images[:COMPARED].double(), target[:COMPARED]
    plain_network.double()
    frozen.double()
    apart_64 = largest_differences({way: action() for way, action in ways.items()})
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {usable_cores()} cores",
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg(),
        **vars(options),
        "ms_per_image_and_iteration": {
            way: 1000 * statistics.median(one["clock"] for one in took) / options.images / options.iterations
            for way, took in seconds.items()
        },
        **{f"times_as_fast_as_{way}": ratios(seconds[way], seconds["together"]) for way in ("plain", "alone")},
        "largest_difference_float32": apart,
        "largest_difference_float64": apart_64,
        "maps_equal": max(apart_64.values()) <= TOLERANCE,
    }


def largest_differences(maps: dict[str, Tensor]) -> dict[str, float]:
    """Return how far the maps of the other ways are from those made together."""
    return {way: (maps[way] - maps["together"]).abs().max().item() for way in ("plain", "alone")}


def ratios(slow: list[dict[str, float]], fast: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return median, smallest and largest ratio of the rounds, by clock and by CPU time."""
    found = {}
    for kind in ("clock", "cpu"):
        by_round = [s[kind] / f[kind] for s, f in zip(slow, fast, strict=True)]
        found[kind] = {"median": statistics.median(by_round), "smallest": min(by_round), "largest": max(by_round)}
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain", description="Speed of the explainer.")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--side", type=int, default=224, help="of the images, in pixels")
    parser.add_argument("--batch-size", type=int, default=None, help="default: 4 on a CPU, all images on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options.batch_size = options.batch_size or (4 if device.type == "cpu" else options.images)
    results = measure(options, device)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
