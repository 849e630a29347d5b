"""The card, and its rates: of a copy, and of products of large matrices."""

import platform

import torch

from benchmarks.gpu.bench import Bench, Figures
from benchmarks.speed.floor import machine
from coronet_core.common.cpu_count import usable_cores
from coronet_core.common.precision import has_bfloat16

RATES = "rates"


def measure(bench: Bench) -> None:
    """Describe the device and measure its rates."""
    bench.row("device", lambda: _device(bench.device))
    bench.row(RATES, lambda: dict(machine(bench.device, usable_cores())))


def _device(device: torch.device) -> Figures:
    figures: Figures = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu_cores": usable_cores(),
        "bfloat16_in_hardware": has_bfloat16(device),
        "tf32_of_convolutions": torch.backends.cudnn.allow_tf32,
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        figures |= {
            "name": card.name,
            "compute_capability": f"{card.major}.{card.minor}",
            "multiprocessors": card.multi_processor_count,
            "memory_gib": card.total_memory / 2**30,
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
        }
    return figures
