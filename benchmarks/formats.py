"""What each number format and memory layout costs a training step: `python -m benchmarks.formats [--rounds 3]`.

Steps of an autoencoder and of the CIN in float32 and bfloat16, with tensors channels first and channels last, in turns
in one process; then all of it again in a process that may use AVX2 alone, as most desktops and laptops have it. CPU
seconds of a step (medians), and how many times as fast as float32, channels first. Also in `benchmarks/formats.json`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Final, get_args

import torch
from torch import nn

from benchmarks.gpu.learners import autoencoder_on, classifier
from benchmarks.speed.setting import Setting, prepare
from benchmarks.speed.steps import step_of
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import Subset
from coronet_core.common.literals import Precision
from coronet_core.common.precision import has_bfloat16
from coronet_core.learning.loop import Learner
from tasks.runtime.compute.cpu import keep_freed_memory
from tasks.runtime.files import write_json

RESULTS: Final = Path(__file__).with_name("formats.json")
CPU: Final = torch.device("cpu")
AVX2_ALONE: Final = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
LAYOUTS: Final = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
BASELINE: Final = ("fp32", "channels first")


def autoencoder(setting: Setting, precision: Precision) -> Learner:
    """Return a learner of an autoencoder on the first batch."""
    images = Subset(setting.stack, range(setting.batch), CPU)
    return autoencoder_on(images, images, setting.batch, precision)


def cin(setting: Setting, precision: Precision) -> Learner:
    """Return a learner of the CIN on all residual tensors."""
    rows = range(setting.images)
    inputs = CinInputs("residual_tensor", Subset(setting.stack, rows, CPU), Subset(setting.residuals, rows, CPU))
    return classifier(inputs, setting.images, precision)


NETWORKS: Final[dict[str, Callable[[Setting, Precision], Learner]]] = {"AE step": autoencoder, "CIN step": cin}


def use_layout(model: nn.Module, layout: torch.memory_format) -> None:
    """Make `model` and what it is given be of this layout."""
    model.to(memory_format=layout)  # type: ignore[call-overload]  # missing in its stubs
    model.register_forward_pre_hook(lambda _, inputs: tuple(x.clone(memory_format=layout) for x in inputs))


def cpu_seconds(step: Callable[[], object]) -> float:
    """Return the CPU seconds of a training step."""
    began = time.process_time()
    step()
    return time.process_time() - began


def measure(setting: Setting, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of all steps by network, format and layout, in turns."""
    torch.set_num_threads(setting.threads)
    keep_freed_memory()  # as the stages do
    steps: dict[str, Callable[[], object]] = {}
    for network, precision, layout in product(NETWORKS, get_args(Precision), LAYOUTS):
        learner = NETWORKS[network](setting, precision)
        use_layout(learner.model, LAYOUTS[layout])
        step = steps[f"{network}|{precision}|{layout}"] = step_of(learner)
        step()  # the first plans and allocates
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            taken[name].append(cpu_seconds(step))
    return taken


def main() -> None:
    """Measure, print, write; with --worker measure alone and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.formats", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=224, help="of the images, in pixels")
    parser.add_argument(
        "--batch", type=int, default=4, help="images of the autoencoder's step; the CIN's has twice as many"
    )
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        is_native = has_bfloat16(CPU)
        print(json.dumps({"has_bfloat16": is_native, "steps": measure(Setting(**options.worker), options.rounds)}))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        threads = torch.get_num_threads()
        setting = Setting(folder=folder, side_px=options.side, batch=options.batch, device="cpu", threads=threads)
        prepare(setting)
        for processor, limits in {"this processor": {}, "AVX2 alone": AVX2_ALONE}.items():
            command = [sys.executable, "-m", "benchmarks.formats", "--rounds", str(options.rounds)]
            command += ["--worker", json.dumps(setting.to_dict())]
            told = subprocess.run(command, env={**os.environ, **limits}, check=True, stdout=subprocess.PIPE, text=True)
            results[processor] = json.loads(told.stdout)
            _print(processor, results[processor])
    write_json(RESULTS, results)


def _print(processor: str, result: dict[str, object]) -> None:
    native = "computes with bfloat16" if result["has_bfloat16"] else "has no bfloat16"
    print(f"{processor} ({native}):\n{'':32}{'CPU s':>8}   times as fast as float32, channels first")
    steps: dict[str, list[float]] = result["steps"]  # type: ignore[assignment]
    for name, taken in steps.items():
        base = steps["|".join((name.split("|")[0], *BASELINE))]
        ratios = [first / own for first, own in zip(base, taken, strict=True)]
        shown = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name.replace('|', ', '):32}{statistics.median(taken):8.2f}   {shown}", flush=True)


if __name__ == "__main__":
    main()
