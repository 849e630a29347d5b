"""Which kind of processor figures hold for: what it computes with decides the ratios, not its name."""

from pathlib import Path

import torch

from coronet_core.common.precision import has_bfloat16

CPU_INFO = Path("/proc/cpuinfo")


def kind_of(device: torch.device) -> str:
    """Return the kind of `device`, as it may be used: `cuda`, `bfloat16` or what torch says, such as `avx2`."""
    if device.type == "cuda":
        return "cuda"
    return "bfloat16" if has_bfloat16(device) else torch.backends.cpu.get_cpu_capability().lower()


def name_of(device: torch.device) -> str:
    """Return the name of `device` as its maker gives it; `CPU` where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "CPU"
